// SPDX-License-Identifier: Apache-2.0
#include "store/cluster/member.h"

#include "store/base/check.h"
#include "store/base/coding.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

namespace store::cluster {
namespace {

uint64_t FirstBytesOfSha1(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  int done = EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha1(), nullptr);
  CHECK(done == 1 && size == 20, "SHA-1 is not available in this OpenSSL");
  return LoadBigEndian64(reinterpret_cast<const char*>(digest.data()));
}

std::string JoinSorted(std::span<const std::string> urls) {
  std::vector<std::string_view> sorted(urls.begin(), urls.end());
  std::sort(sorted.begin(), sorted.end());
  std::string joined;
  for (std::string_view url : sorted) joined.append(url);
  return joined;
}

}  // namespace

raft::NodeId BootstrapMemberId(std::span<const std::string> peer_urls, std::string_view token) {
  std::string bytes = JoinSorted(peer_urls);
  bytes.append(token);
  return raft::NodeId(FirstBytesOfSha1(bytes));
}

raft::NodeId AddedMemberId(std::span<const std::string> peer_urls, int64_t unix_seconds) {
  std::string bytes = JoinSorted(peer_urls);
  bytes.append(std::to_string(unix_seconds));
  return raft::NodeId(FirstBytesOfSha1(bytes));
}

ClusterId DeriveClusterId(std::span<const raft::NodeId> members) {
  std::vector<raft::NodeId> sorted(members.begin(), members.end());
  std::sort(sorted.begin(), sorted.end());
  std::string bytes;
  for (raft::NodeId id : sorted) AppendBigEndian64(&bytes, id.value());
  return ClusterId(FirstBytesOfSha1(bytes));
}

}  // namespace store::cluster

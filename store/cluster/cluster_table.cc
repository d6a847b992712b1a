// SPDX-License-Identifier: Apache-2.0
#include "store/cluster/cluster_table.h"

#include "store/base/coding.h"
#include "store/engine/sys_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace store::cluster {
namespace {

using engine::SysSection;
using engine::Table;

constexpr uint8_t kRowFormat = 1;
constexpr uint8_t kLearnerFlag = 1;
constexpr char kMemberRow = 'm';
constexpr char kRemovedRow = 'r';

std::string RowKey(char kind, raft::NodeId id) {
  std::string key(1, kind);
  AppendBigEndian64(&key, id.value());
  return engine::SysKey(SysSection::kMember, key);
}

void AppendStrings(std::string* out, const std::vector<std::string>& strings) {
  AppendVarint(out, strings.size());
  for (const std::string& string : strings) AppendLengthPrefixed(out, string);
}

bool ReadStrings(ByteReader* in, std::vector<std::string>* strings) {
  uint64_t count = 0;
  if (!in->ReadVarint(&count)) return false;
  for (uint64_t i = 0; i < count; ++i) {
    std::string_view bytes;
    if (!in->ReadLengthPrefixed(&bytes)) return false;
    strings->emplace_back(bytes);
  }
  return true;
}

tl::unexpected<Error> BadRow(raft::NodeId id) {
  return Fail(ErrorCode::kCorruption,
              fmt::format("row of member {:x} in the state is malformed", id.value()));
}

}  // namespace

std::string EncodeMember(const Member& member) {
  std::string out;
  AppendU8(&out, kRowFormat);
  AppendU8(&out, member.learner ? kLearnerFlag : 0);
  AppendLengthPrefixed(&out, member.name);
  AppendStrings(&out, member.peer_urls);
  AppendStrings(&out, member.client_urls);
  return out;
}

Result<Member> DecodeMember(raft::NodeId id, std::string_view bytes) {
  ByteReader in(bytes);
  uint8_t format = 0;
  uint8_t flags = 0;
  if (!in.ReadU8(&format) || !in.ReadU8(&flags)) return BadRow(id);
  if (format != kRowFormat) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("row of member {:x} has format {}, this release reads {}", id.value(),
                            format, kRowFormat));
  }
  Member member;
  member.id = id;
  member.learner = (flags & kLearnerFlag) != 0;
  std::string_view name;
  if (!in.ReadLengthPrefixed(&name) || !ReadStrings(&in, &member.peer_urls) ||
      !ReadStrings(&in, &member.client_urls) || !in.empty()) {
    return BadRow(id);
  }
  member.name = name;
  return member;
}

ClusterTable::ClusterTable()
    : version_(std::make_shared<const std::string>()),
      downgrade_(std::make_shared<const Downgrade>()) {
  Share();
}

Status ClusterTable::Restore(const engine::Engine& engine) {
  members_.clear();
  removed_.clear();
  shared_removed_.reset();
  auto cursor = engine.Scan(Table::kSys, engine::SysKey(SysSection::kMember),
                            engine::SysSectionEnd(SysSection::kMember), {});
  for (; cursor->Valid(); cursor->Next()) {
    ByteReader key(cursor->key());
    uint8_t kind = 0;
    uint64_t number = 0;
    if (!key.Skip(1) || !key.ReadU8(&kind) || !key.ReadBigEndian64(&number) || !key.empty() ||
        (kind != kMemberRow && kind != kRemovedRow)) {
      return Fail(ErrorCode::kCorruption, "a key among the members in the state is malformed");
    }
    raft::NodeId id(number);
    if (kind == kRemovedRow) {
      removed_.insert(id);
      continue;
    }
    auto member = DecodeMember(id, cursor->value());
    RETURN_IF_ERROR(member);
    members_.emplace(id, std::move(*member));
  }
  RETURN_IF_ERROR(cursor->status());
  auto version = engine.Get(Table::kSys, engine::SysKey(SysSection::kClusterVersion));
  RETURN_IF_ERROR(version);
  version_ = std::make_shared<const std::string>(
      version->has_value() ? std::string((*version)->view()) : std::string());
  auto target = engine.Get(Table::kSys, engine::SysKey(SysSection::kDowngrade));
  RETURN_IF_ERROR(target);
  Downgrade downgrade;
  if (target->has_value()) downgrade = {true, std::string((*target)->view())};
  downgrade_ = std::make_shared<const Downgrade>(std::move(downgrade));
  Share();
  return Ok();
}

bool ClusterTable::Add(const Member& member, engine::WriteBatch& batch) {
  if (removed_.contains(member.id)) return false;
  if (!members_.emplace(member.id, member).second) return false;
  Write(member, batch);
  return true;
}

bool ClusterTable::Remove(raft::NodeId id, engine::WriteBatch& batch) {
  if (members_.erase(id) == 0) return false;
  removed_.insert(id);
  batch.Delete(Table::kSys, RowKey(kMemberRow, id));
  batch.Put(Table::kSys, RowKey(kRemovedRow, id), {});
  Share();
  return true;
}

bool ClusterTable::Promote(raft::NodeId id, engine::WriteBatch& batch) {
  auto found = members_.find(id);
  if (found == members_.end() || !found->second.learner) return false;
  found->second.learner = false;
  Write(found->second, batch);
  return true;
}

bool ClusterTable::SetPeerUrls(raft::NodeId id, std::vector<std::string> urls,
                               engine::WriteBatch& batch) {
  auto found = members_.find(id);
  if (found == members_.end()) return false;
  found->second.peer_urls = std::move(urls);
  Write(found->second, batch);
  return true;
}

bool ClusterTable::Publish(raft::NodeId id, std::string name, std::vector<std::string> client_urls,
                           engine::WriteBatch& batch) {
  auto found = members_.find(id);
  if (found == members_.end()) return false;
  found->second.name = std::move(name);
  found->second.client_urls = std::move(client_urls);
  Write(found->second, batch);
  return true;
}

void ClusterTable::SetDowngrade(Downgrade downgrade, engine::WriteBatch& batch) {
  if (!downgrade.enabled) downgrade.target.clear();
  const std::string key = engine::SysKey(SysSection::kDowngrade);
  if (downgrade.enabled) {
    batch.Put(Table::kSys, key, downgrade.target);
  } else {
    batch.Delete(Table::kSys, key);
  }
  downgrade_ = std::make_shared<const Downgrade>(std::move(downgrade));
}

void ClusterTable::SetVersion(std::string version, engine::WriteBatch& batch) {
  batch.Put(Table::kSys, engine::SysKey(SysSection::kClusterVersion), version);
  version_ = std::make_shared<const std::string>(std::move(version));
}

const Member* ClusterTable::Find(raft::NodeId id) const {
  auto found = members_.find(id);
  return found == members_.end() ? nullptr : &found->second;
}

bool ClusterTable::UrlTaken(std::span<const std::string> urls, raft::NodeId except) const {
  for (const auto& [id, member] : members_) {
    if (id == except) continue;
    auto taken = std::find_first_of(member.peer_urls.begin(), member.peer_urls.end(), urls.begin(),
                                    urls.end());
    if (taken != member.peer_urls.end()) return true;
  }
  return false;
}

size_t ClusterTable::learners() const {
  return static_cast<size_t>(std::count_if(members_.begin(), members_.end(),
                                           [](const auto& row) { return row.second.learner; }));
}

void ClusterTable::Write(const Member& member, engine::WriteBatch& batch) {
  batch.Put(Table::kSys, RowKey(kMemberRow, member.id), EncodeMember(member));
  Share();
}

void ClusterTable::Share() {
  auto list = std::make_shared<MemberList>();
  list->reserve(members_.size());
  for (const auto& [id, member] : members_) list->push_back(member);
  shared_ = std::move(list);
  if (shared_removed_ != nullptr && shared_removed_->size() == removed_.size()) return;
  shared_removed_ = std::make_shared<const RemovedList>(removed_.begin(), removed_.end());
}

}  // namespace store::cluster

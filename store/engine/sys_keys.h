// SPDX-License-Identifier: Apache-2.0
// Keys of table kSys: one section byte, then the section's own key. This is the one list of
// sections; who owns a section decides its rows and values (numbers in keys are big endian, so rows
// sort by number). Everything here is replicated state and is the same on all members, except
// kCompact/finished, which says how far this member's collection has come: state comparisons ignore
// that row. Never renumber a section. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace store::engine {

enum class SysSection : uint8_t {
  kApplied = 0x01,    // apply: one row: index, term, conf state, revision; last row of each batch
  kCompact = 0x02,    // mvcc: "s" scheduled, "f" finished: 8 bytes big endian each
  kLease = 0x03,      // lease: id (8) -> granted and remaining TTL
  kLeaseItem = 0x04,  // lease: id (8) · key -> empty
  kAuth = 0x05,       // auth: enabled, revision, users, roles (the next byte says which)
  kMember = 0x06,     // cluster: member id (8) -> attributes; removed ids
  kAlarm = 0x07,      // apply: alarm (1) · member id (8) -> empty
  kClusterVersion = 0x08,  // cluster: one row
  kDowngrade = 0x09,       // cluster: one row
};

inline std::string SysKey(SysSection section, std::string_view key = {}) {
  std::string out(1, static_cast<char>(section));
  out.append(key);
  return out;
}
// Exclusive end of a section, for Engine::Scan(kSys, SysKey(s), SysSectionEnd(s)).
inline std::string SysSectionEnd(SysSection section) {
  return std::string(1, static_cast<char>(static_cast<uint8_t>(section) + 1));
}

}  // namespace store::engine

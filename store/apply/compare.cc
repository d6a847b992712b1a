// SPDX-License-Identifier: Apache-2.0
#include "store/apply/compare.h"

#include "store/apply/convert.h"

#include <compare>
#include <utility>

namespace store::apply {
namespace {

using etcdserverpb::Compare;

// Values of a range are read in pieces, so that a compare of a large range needs little memory.
constexpr int64_t kValuesPerRead = 64;

bool Judge(const Compare& compare, std::strong_ordering order) {
  switch (compare.result()) {
    case Compare::EQUAL:
      return order == 0;
    case Compare::NOT_EQUAL:
      return order != 0;
    case Compare::GREATER:
      return order > 0;
    case Compare::LESS:
      return order < 0;
    default:
      return true;  // an operator of a newer client, as etcd
  }
}

// A target that does not match the operand compares to 0: the getters of other members of the union
// are 0.
std::strong_ordering Against(const Compare& compare, const mvcc::KeyFacts& facts) {
  switch (compare.target()) {
    case Compare::VERSION:
      return facts.version <=> compare.version();
    case Compare::CREATE:
      return facts.create.value() <=> compare.create_revision();
    case Compare::MOD:
      return facts.mod.main.value() <=> compare.mod_revision();
    case Compare::LEASE:
      return facts.lease.value() <=> compare.lease();
    default:
      return std::strong_ordering::equal;
  }
}

// Bytes compare unsigned, as char_traits does.
std::strong_ordering CompareBytes(std::string_view a, std::string_view b) { return a <=> b; }

Result<bool> ValuesHold(const ReadSource& source, const Compare& compare) {
  mvcc::RangeQuery query;
  query.range = RangeOf(compare);
  query.limit = kValuesPerRead;
  query.uncounted = true;
  bool any = false;
  while (true) {
    auto page = source.Range(query);
    RETURN_IF_ERROR(page);
    for (const mvcc::KeyValue& kv : page->kvs) {
      any = true;
      if (!Judge(compare, CompareBytes(kv.value, compare.value()))) return false;
    }
    if (!page->more) return any;
    query.range.from.assign(page->kvs.back().key.view());
    query.range.from.push_back('\0');  // the next possible key
  }
}

}  // namespace

Result<bool> Holds(const ReadSource& source, const Compare& compare) {
  if (compare.target() == Compare::VALUE) return ValuesHold(source, compare);
  if (compare.range_end().empty()) {
    auto facts = source.Lookup(compare.key());
    return Judge(compare, Against(compare, facts.value_or(mvcc::KeyFacts())));
  }
  bool any = false;
  bool holds = true;
  source.ForEach(RangeOf(compare), [&](std::string_view, const mvcc::KeyFacts& facts) {
    any = true;
    holds = Judge(compare, Against(compare, facts));
    return holds;
  });
  return any ? holds : Judge(compare, Against(compare, mvcc::KeyFacts()));
}

}  // namespace store::apply

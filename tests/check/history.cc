// SPDX-License-Identifier: Apache-2.0
#include "tests/check/history.h"

#include <fmt/format.h>

#include <algorithm>

namespace store::check {
namespace {

std::string ToString(const Txn& txn) {
  if (!txn.compares.empty() || txn.success.size() != 1) {
    return fmt::format("txn of {} compares, {} and {} requests", txn.compares.size(),
                       txn.success.size(), txn.failure.size());
  }
  const Step& step = txn.success[0];
  const std::string end = step.end.empty() ? "" : step.end[0] == 0 ? "…" : step.end;
  switch (step.kind) {
    case StepKind::kPut:
      return fmt::format("put {}={}", step.key, step.value);
    case StepKind::kDelete:
      return fmt::format("delete [{}, {}]", step.key, end);
    case StepKind::kRange:
      return fmt::format("range [{}, {}] at {}", step.key, end, step.revision);
    case StepKind::kTxn:
      break;
  }
  return "a nested txn";
}

std::string_view Name(Outcome outcome) {
  return outcome == Outcome::kOk ? "ok" : outcome == Outcome::kFailed ? "failed" : "unknown";
}

std::string RequestText(const Operation& operation) {
  switch (operation.request) {
    case Request::kTxn:
      return ToString(operation.txn);
    case Request::kCompact:
      return fmt::format("compact {}", operation.compact);
    case Request::kLeaseGrant:
      return fmt::format("grant of lease {} for {} s", operation.lease, operation.ttl);
    case Request::kLeaseRevoke:
      return fmt::format("revoke of lease {}", operation.lease);
    case Request::kLeaseKeepAlive:
      break;
  }
  return fmt::format("keep-alive of lease {}", operation.lease);
}

bool AnyWrites(const std::vector<Step>& steps) {
  return std::any_of(steps.begin(), steps.end(), [](const Step& step) {
    return step.kind == StepKind::kPut || step.kind == StepKind::kDelete ||
           (step.kind == StepKind::kTxn && Writes(step.nested.at(0)));
  });
}

}  // namespace

std::string ToString(const Operation& operation) {
  return fmt::format("{}{} of client {} [{}, {}] {} at revision {} of member {}",
                     operation.serializable ? "serializable " : "", RequestText(operation),
                     operation.client, operation.call,
                     operation.ret == kNever ? "never" : fmt::to_string(operation.ret),
                     Name(operation.outcome), operation.revision, operation.member);
}

bool Writes(const Txn& txn) { return AnyWrites(txn.success) || AnyWrites(txn.failure); }

Txn One(Step step) {
  Txn txn;
  txn.success.push_back(std::move(step));
  return txn;
}

Step Put(std::string key, std::string value, int64_t lease) {
  Step step;
  step.kind = StepKind::kPut;
  step.key = std::move(key);
  step.value = std::move(value);
  step.lease = lease;
  return step;
}

Step Delete(std::string key, std::string end) {
  Step step;
  step.kind = StepKind::kDelete;
  step.key = std::move(key);
  step.end = std::move(end);
  return step;
}

Step Range(std::string key, std::string end) {
  Step step;
  step.key = std::move(key);
  step.end = std::move(end);
  return step;
}

}  // namespace store::check

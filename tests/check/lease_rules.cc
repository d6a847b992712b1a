// SPDX-License-Identifier: Apache-2.0
#include "tests/check/lease_rules.h"

#include "tests/check/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace store::check {
namespace {

struct Lease {
  int grants = 0;
  int64_t ttl = 0;
  Time granted_call = kNever;  // earliest call that may have made it
  Time alive_sent = 0;         // last acknowledged sign of life: when it was sent
  Time alive_last = 0;         // last sign of life that may have counted: its end
  bool endless = false;        // a renewal without an answer may count for ever
  Time revoke_call = kNever;   // somebody may have revoked it from then on
  Time revoked = kNever;       // certainly gone from then on
  Revision revoked_at = 0;     // header of that answer
  Revision ended_at = 0;       // its keys went in this commit
};

class LeaseCheck {
 public:
  LeaseCheck(const History& history, const LeaseOptions& options)
      : history_(history), options_(options), timeline_(history.base) {}

  std::vector<Problem> Check() {
    for (const Operation& operation : history_.operations) {
      Note(operation);
    }
    for (const Operation& operation : history_.operations) {
      CheckOperation(operation);
    }
    NoteShown();
    for (const Commit& commit : history_.commits) {
      if (commit.revision != timeline_.newest() + 1) {
        break;  // revision_order reports it
      }
      CheckCommit(commit);
      timeline_.Append(commit);
    }
    CheckEnd();
    return problems_.Take();
  }

 private:
  void Note(const Operation& operation) {
    const bool ok = operation.outcome == Outcome::kOk;
    if (operation.outcome == Outcome::kFailed || operation.lease == 0) {
      return;
    }
    Lease& lease = leases_[operation.lease];
    switch (operation.request) {
      case Request::kLeaseGrant:
        lease.grants += ok ? 1 : 0;
        lease.ttl = std::max(lease.ttl, operation.ttl);
        lease.granted_call = std::min(lease.granted_call, operation.call);
        NoteAlive(operation, &lease);
        break;
      case Request::kLeaseKeepAlive:
        NoteAlive(operation, &lease);
        break;
      case Request::kLeaseRevoke:
        lease.revoke_call = std::min(lease.revoke_call, operation.call);
        if (ok && operation.ret < lease.revoked) {
          lease.revoked = operation.ret;
          lease.revoked_at = operation.revision;
        }
        break;
      default:
        break;
    }
  }

  static void NoteAlive(const Operation& operation, Lease* lease) {
    if (operation.outcome == Outcome::kOk) {
      lease->alive_sent = std::max(lease->alive_sent, operation.call);
      lease->alive_last = std::max(lease->alive_last, operation.ret);
    } else if (operation.ret != kNever) {
      lease->alive_last = std::max(lease->alive_last, operation.ret);
    } else {
      lease->endless = true;
    }
  }

  void CheckOperation(const Operation& operation) {
    const auto found = leases_.find(operation.lease);
    if (operation.outcome != Outcome::kOk || found == leases_.end()) {
      return;
    }
    const Lease& lease = found->second;
    if (operation.request == Request::kLeaseGrant && lease.grants > 1) {
      problems_.Add("granted twice", ToString(operation));
    }
    if (operation.request != Request::kLeaseKeepAlive) {
      return;
    }
    if (lease.granted_call >= operation.ret) {
      problems_.Add("never granted", ToString(operation));
    } else if (lease.revoked < operation.call) {
      problems_.Add("alive after revoke", ToString(operation));
    } else if (operation.ttl != lease.ttl) {
      problems_.Add(
          "ttl", fmt::format("{} gives {} s of {}", ToString(operation), operation.ttl, lease.ttl));
    }
  }

  // By when somebody had seen each revision.
  void NoteShown() {
    std::map<Revision, Time> first;
    const auto note = [&](Revision revision, Time at) {
      const auto [found, is_new] = first.try_emplace(revision, at);
      found->second = std::min(found->second, at);
    };
    for (const Operation& operation : history_.operations) {
      if (operation.outcome == Outcome::kOk && operation.request != Request::kLeaseKeepAlive) {
        note(operation.revision, operation.ret);
      }
    }
    for (const Watch& watch : history_.watches) {
      for (const WatchResponse& response : watch.responses) {
        for (const WatchEvent& event : response.events) {
          note(event.event.kv.mod, response.at);
        }
      }
    }
    Time seen = kNever;
    for (auto i = first.rbegin(); i != first.rend(); ++i) {
      seen = std::min(seen, i->second);
      seen_by_[i->first] = seen;
    }
  }
  Time SeenBy(Revision revision) const {
    const auto found = seen_by_.lower_bound(revision);
    return found == seen_by_.end() ? kNever : found->second;
  }

  // Who deleted these keys: an operation that names one of them, or the end of their lease.
  void CheckCommit(const Commit& commit) {
    for (const Event& event : commit.events) {
      if (!event.is_delete && event.kv.lease != 0) {
        CheckAttach(event);
      }
    }
    if (const int64_t lease = Ends(commit); lease != 0) {
      CheckLeaseEnd(commit, lease);
    }
    for (const Event& event : commit.events) {
      Move(event);
    }
  }

  void Move(const Event& event) {
    const KeyValue* before = timeline_.Find(event.kv.key, timeline_.newest());
    if (before != nullptr && before->lease != 0) {
      attached_[before->lease].erase(event.kv.key);
    }
    if (!event.is_delete && event.kv.lease != 0) {
      attached_[event.kv.lease].insert(event.kv.key);
    }
  }

  void CheckAttach(const Event& event) {
    const auto found = leases_.find(event.kv.lease);
    if (found == leases_.end() || found->second.granted_call == kNever) {
      problems_.Add("never granted", ToString(event));
      return;
    }
    const Lease& lease = found->second;
    const bool revoked = lease.revoked_at != 0 && event.kv.mod > lease.revoked_at;
    if (revoked || (lease.ended_at != 0 && event.kv.mod > lease.ended_at)) {
      problems_.Add("attached after its end", ToString(event));
    }
  }

  // The lease of the deleted keys if no client can have deleted them, else 0.
  int64_t Ends(const Commit& commit) {
    int64_t lease = 0;
    for (const Event& event : commit.events) {
      const KeyValue* before = timeline_.Find(event.kv.key, timeline_.newest());
      if (!event.is_delete || before == nullptr || before->lease == 0) {
        return 0;
      }
      if (lease != 0 && lease != before->lease) {
        return 0;
      }
      lease = before->lease;
    }
    if (!deletes_known_) {
      for (const Operation& operation : history_.operations) {
        if (operation.request == Request::kTxn && operation.outcome != Outcome::kFailed) {
          NoteDeletes(operation, operation.txn.success);
          NoteDeletes(operation, operation.txn.failure);
        }
      }
      deletes_known_ = true;
    }
    return DeletedByClient(commit) ? 0 : lease;
  }

  void NoteDeletes(const Operation& operation, const std::vector<Step>& steps) {
    for (const Step& step : steps) {
      if (step.kind == StepKind::kDelete && operation.outcome == Outcome::kOk) {
        deletes_at_[operation.revision].push_back(&step);
      } else if (step.kind == StepKind::kDelete) {
        lost_deletes_.push_back(&step);
      } else if (step.kind == StepKind::kTxn) {
        NoteDeletes(operation, step.nested.at(0).success);
        NoteDeletes(operation, step.nested.at(0).failure);
      }
    }
  }

  bool DeletedByClient(const Commit& commit) const {
    const auto covers = [&](const Step* step) {
      return InRange(commit.events[0].kv.key, step->key, step->end);
    };
    const auto at = deletes_at_.find(commit.revision);
    return (at != deletes_at_.end() && std::any_of(at->second.begin(), at->second.end(), covers)) ||
           std::any_of(lost_deletes_.begin(), lost_deletes_.end(), covers);
  }

  void CheckLeaseEnd(const Commit& commit, int64_t id) {
    Lease& lease = leases_[id];
    lease.ended_at = commit.revision;
    if (commit.events.size() != attached_[id].size()) {
      problems_.Add("not in one revision",
                    fmt::format("commit {} deletes {} of {} keys of lease {}", commit.revision,
                                commit.events.size(), attached_[id].size(), id));
    }
    const Time seen = SeenBy(commit.revision);
    if (seen < lease.revoke_call && seen < lease.alive_sent + lease.ttl * options_.second) {
      problems_.Add("too early",
                    fmt::format("lease {} of {} s had ended at {}, seen at {}; the last "
                                "renewal was sent at {}",
                                id, lease.ttl, commit.revision, seen, lease.alive_sent));
    }
  }

  void CheckEnd() {
    for (const auto& [id, lease] : leases_) {
      const auto attached = attached_.find(id);
      if (attached == attached_.end() || attached->second.empty()) {
        continue;
      }
      const std::string& key = *attached->second.begin();
      if (lease.revoked_at != 0) {
        problems_.Add("stays", fmt::format("{} is there, lease {} was revoked", key, id));
      } else if (options_.end != 0 && !lease.endless &&
                 lease.alive_last + lease.ttl * options_.second + options_.grace < options_.end) {
        problems_.Add("too late",
                      fmt::format("{} is there at {}, lease {} of {} s was renewed last "
                                  "at {}",
                                  key, options_.end, id, lease.ttl, lease.alive_last));
      }
    }
  }

  const History& history_;
  const LeaseOptions options_;
  Timeline timeline_;
  Problems problems_;
  std::map<int64_t, Lease> leases_;
  std::map<int64_t, std::set<std::string>> attached_;
  std::map<Revision, Time> seen_by_;
  std::map<Revision, std::vector<const Step*>> deletes_at_;
  std::vector<const Step*> lost_deletes_;
  bool deletes_known_ = false;
};

}  // namespace

std::vector<Problem> CheckLeases(const History& history, const LeaseOptions& options) {
  return LeaseCheck(history, options).Check();
}

}  // namespace store::check

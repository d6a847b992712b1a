// SPDX-License-Identifier: Apache-2.0
// WatchFollower: a client that watches one range for the whole run. When its connection breaks it
// goes on where it was, at any member. It knows from the model what must come next, so every
// response is checked event by event: in order, none missing, none twice, a revision not split, no
// event at or below a delivered progress revision, previous values right, and cancelled only for a
// compaction that was made. One thread.
#pragma once

#include "store/base/key_range.h"
#include "tests/sim/sim_call.h"
#include "tests/sim/store_group.h"

#include <etcd/rpc.pb.h>

#include <cstdint>
#include <memory>
#include <string>

namespace store::sim {

class WatchFollower : public std::enable_shared_from_this<WatchFollower> {
 public:
  // `create` says what to watch; its start revision 0 means from now on.
  WatchFollower(StoreGroup& group, etcdserverpb::WatchCreateRequest create, Time read_delay,
                Random random)
      : group_(group),
        create_(std::move(create)),
        read_delay_(read_delay),
        random_(random),
        range_(KeyRange::FromRequest(create_.key(), create_.range_end())),
        told_(create_.start_revision()),
        next_(told_) {}

  void Connect();
  void RequestProgress();
  // The client has seen enough.
  void Leave();
  bool left() const { return left_; }
  // What it has not seen yet; empty: nothing.
  std::string Behind();

 private:
  void OnMessage(const std::string& bytes);
  void OnBroken();
  void ReconnectLater(Time delay);
  std::string Check(const etcdserverpb::WatchResponse& response);
  std::string CheckCanceled(const etcdserverpb::WatchResponse& response);
  std::string CheckEvents(const etcdserverpb::WatchResponse& response);
  std::string CheckEvent(const mvccpb::Event& event);
  std::string CheckPrevious(const mvccpb::Event& event) const;
  bool Wants(const ModelEvent& event) const;
  // Moves on to the next event it wants; false: there is none yet.
  bool FindNext();
  std::string Name() const;

  StoreGroup& group_;
  const etcdserverpb::WatchCreateRequest create_;
  const Time read_delay_;
  Random random_;
  const KeyRange range_;
  std::shared_ptr<SimCall> call_;
  uint64_t connection_ = 0;
  bool created_ = false;
  bool left_ = false;
  // What the client itself knows to have: everything below; 0: not yet told what "now" is.
  int64_t told_;
  int64_t header_ = 0;  // the newest one seen on this connection
  // Where the next event can be, from the model: revisions below are done with, and the first
  // part_ events of this one.
  int64_t next_;
  size_t part_ = 0;
};

}  // namespace store::sim

// SPDX-License-Identifier: Apache-2.0
// ChannelSet: the connections of one Client and what is running on them. It knows which endpoint is
// in use, moves on when one does not answer, holds the auth token, and remembers every running call
// so that Stop can cancel it. Shared by the client and its streams; any thread. Only this folder
// includes it.
#pragma once

#include "store/base/check.h"
#include "store/base/thread.h"
#include "store/client/client.h"

#include <absl/container/flat_hash_set.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

namespace store::client {

class ChannelSet {
 public:
  explicit ChannelSet(const ClientOptions& options);

  struct Pick {
    std::shared_ptr<grpc::Channel> channel;
    size_t index = 0;
  };
  // A connected endpoint, the one in use first. Blocks until `deadline` at most.
  Result<Pick> Connect(TimePoint deadline);
  // The endpoint did not work: the next call begins with the one after it.
  void Leave(size_t index);
  size_t current() const;
  const std::string& endpoint(size_t index) const { return options_.endpoints[index]; }

  // False after Stop; then the context must not be used.
  bool Register(grpc::ClientContext* context);
  void Unregister(grpc::ClientContext* context);
  void Stop();
  // Waits, but not through a Stop; false if stopped.
  bool Pause(Duration duration);

  std::string token() const;
  void set_token(std::string token);

  const ClientOptions& options() const { return options_; }

 private:
  Result<Pick> NoAnswer() const;

  const ClientOptions options_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;  // as options_.endpoints

  mutable Mutex mutex_;
  CondVar stop_;
  size_t current_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::string token_ ABSL_GUARDED_BY(mutex_);
  // Bounded by the calls their threads make.
  absl::flat_hash_set<grpc::ClientContext*> running_ ABSL_GUARDED_BY(mutex_);
};

// Registers a context for as long as it is used.
class RunningCall {
 public:
  RunningCall(std::shared_ptr<ChannelSet> channels, grpc::ClientContext* context)
      : channels_(std::move(channels)), context_(context), ok_(channels_->Register(context)) {}
  ~RunningCall() {
    if (ok_) channels_->Unregister(context_);
  }
  RunningCall(const RunningCall&) = delete;
  RunningCall& operator=(const RunningCall&) = delete;
  bool ok() const { return ok_; }

 private:
  std::shared_ptr<ChannelSet> channels_;
  grpc::ClientContext* context_;
  bool ok_;
};

// The status of a call as an Error: etcd's texts keep their text and get their row's code,
// everything else reads like the Go client's "rpc error: code = … desc = …".
Error ToError(const grpc::Status& status);
// True if the request certainly never left this process.
bool NeverSent(const grpc::Status& status);
void SetDeadline(grpc::ClientContext* context, TimePoint deadline);

}  // namespace store::client

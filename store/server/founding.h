// SPDX-License-Identifier: Apache-2.0
// What bootstrap writes into a log by itself, before the replica runs: the changes by which a
// member becomes the only one of its cluster (--force-new-cluster). Main's thread, after
// LogStore::Load.
#pragma once

#include "store/apply/state_machine.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/server/bootstrap.h"
#include "store/wal/log_store.h"

namespace store::server {

// Takes everybody else out of the configuration, at the end of the log. Everything in the log
// counts as committed: what others would have thrown away was never refused to a client either, and
// what they had acknowledged must not be lost.
Status StayAlone(const Member& member, const apply::AppliedRow& applied, wal::LogImage* image,
                 const Logger& log);

}  // namespace store::server

// SPDX-License-Identifier: Apache-2.0
// BrokerWait: keeps the library's broker threads from spinning. An idempotent producer of
// librdkafka (2.0.2, and what came after it) has one batch of a partition on the way at a time: its
// limit of five compares requests with messages (rd_kafka_toppar_producer_serve). While the answer
// is awaited and the next batch is due, the thread's next wake-up is a moment that has passed, and
// it asks poll for events with a timeout of 0 until the answer is there: under load most of the CPU
// time of the thread, taken from a broker or a reader beside it. No property prevents it. So the
// process's poll is ours (broker_wait.cc), and on these threads a timeout of 0 waits a little: what
// ends the wait, an answer or work from another thread, is among the descriptors. On any other
// thread poll is what it always was.
#pragma once

namespace logagent {

// The calling thread is one of the library's broker threads, for the rest of its life.
void WaitInsteadOfSpinning();

}  // namespace logagent

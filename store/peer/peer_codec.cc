// SPDX-License-Identifier: Apache-2.0
#include "store/peer/peer_codec.h"

#include "store/base/wire_fields.h"
#include "store/raft/conf_change.h"

#include <peer.pb.h>

#include <concepts>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace store::peer {
namespace {

namespace wire = sluice::peer;

// Fields of Frame (proto/peer.proto).
enum FrameField : uint32_t {
  kCluster = 1,
  kFrom = 2,
  kTo = 3,
  kProtocolField = 4,
  kHello = 5,
  kPing = 6,
  kPong = 7,
  kHeartbeat = 8,
  kHeartbeatReply = 9,
  kAppend = 10,
  kAppendReply = 11,
  kVote = 12,
  kVoteReply = 13,
  kSnapshotNotice = 14,
  kTimeoutNow = 15,
  kForwardPropose = 16,
  kRead = 17,
  kReadReply = 18,
  kLeaseCalls = 19,
  kLeaseAnswers = 20,
  kMemberChange = 21,
  kMemberRefusal = 22,
};
constexpr uint32_t kAppendEntries = 5;
constexpr uint32_t kEntryData = 4;
constexpr uint32_t kCommands = 1;
// From here on a part is sent by reference (store/rpc/README.md).
constexpr size_t kSpliceBytes = 4 << 10;

template <class M, class T>
concept Is = std::same_as<std::remove_const_t<M>, T>;

// One list of fields for each message, for writing and reading.
template <Is<Ping> M, class V>
void Fields(M& m, V visit) {
  visit(1, m.sequence), visit(2, m.sent_unix_ns);
}
template <Is<Pong> M, class V>
void Fields(M& m, V visit) {
  visit(1, m.sequence), visit(2, m.received_unix_ns);
}
template <Is<raft::Heartbeat> M, class V>
void Fields(M& m, V visit) {
  visit(1, m.term), visit(2, m.commit), visit(3, m.round);
}
template <Is<raft::HeartbeatReply> M, class V>
void Fields(M& m, V visit) {
  visit(1, m.term), visit(2, m.round);
}
template <Is<raft::AppendRequest> M, class V>
void Fields(M& m, V visit) {  // and the entries
  visit(1, m.term), visit(2, m.prev), visit(3, m.prev_term), visit(4, m.commit);
}
template <Is<raft::AppendReply> M, class V>
void Fields(M& m, V visit) {
  visit(1, m.term), visit(2, m.ok), visit(3, m.index), visit(4, m.hint), visit(5, m.hint_term);
}
template <Is<raft::VoteRequest> M, class V>
void Fields(M& m, V visit) {
  visit(1, m.term), visit(2, m.last), visit(3, m.last_term), visit(4, m.pre), visit(5, m.transfer);
}
template <Is<raft::VoteReply> M, class V>
void Fields(M& m, V visit) {
  visit(1, m.term), visit(2, m.granted), visit(3, m.pre);
}
template <Is<raft::TimeoutNow> M, class V>
void Fields(M& m, V visit) {
  visit(1, m.term);
}
template <Is<raft::ReadRequest> M, class V>
void Fields(M& m, V visit) {
  visit(1, m.batch);
}
template <Is<raft::ReadReply> M, class V>
void Fields(M& m, V visit) {
  visit(1, m.term), visit(2, m.batch), visit(3, m.index);
}
template <Is<raft::Entry> M, class V>
void Fields(M& m, V visit) {  // and the data
  visit(1, m.term), visit(2, m.index), visit(3, m.kind);
}

template <class T>
uint64_t NumberOf(const T& value) {
  if constexpr (requires { value.value(); }) {
    return static_cast<uint64_t>(value.value());
  } else {
    return static_cast<uint64_t>(value);
  }
}

// An enumeration that is out of range stays as it is and fails the caller's check.
template <class T>
void SetNumber(T* target, uint64_t value) {
  *target = static_cast<T>(value);
}
template <class T>
  requires requires(T t) { t.value(); }
void SetNumber(T* target, uint64_t value) {
  *target = T(static_cast<decltype(target->value())>(value));
}

template <class M>
void AppendFields(const M& message, std::string* out) {
  Fields(message,
         [out](uint32_t field, const auto& value) { AppendNumber(out, field, NumberOf(value)); });
}
template <class M>
size_t FieldsSize(const M& message) {
  size_t size = 0;
  Fields(message, [&size](uint32_t field, const auto& value) {
    size += NumberSize(field, NumberOf(value));
  });
  return size;
}
template <class M>
void SetField(M* message, const FieldReader& in) {
  if (in.type() != WireType::kVarint) return;
  Fields(*message, [&in](uint32_t field, auto& value) {
    if (field == in.number()) SetNumber(&value, in.value());
  });
}
template <class M>
std::optional<M> ReadFields(std::string_view bytes) {
  M message;
  FieldReader in(bytes);
  while (in.Next()) SetField(&message, in);
  if (in.malformed()) return std::nullopt;
  return message;
}

// Writes small things into one string and large ones by reference behind it.
class FrameWriter {
 public:
  explicit FrameWriter(const FrameHeader& header) {
    AppendFixed64(&small_, kCluster, header.cluster.value());
    AppendFixed64(&small_, kFrom, header.from.value());
    AppendFixed64(&small_, kTo, header.to.value());
    AppendNumber(&small_, kProtocolField, header.protocol);
  }

  std::string* small() { return &small_; }
  void Add(std::string_view bytes, const std::shared_ptr<const void>& owner) {
    if (owner == nullptr || bytes.size() < kSpliceBytes) {
      small_.append(bytes);
      return;
    }
    if (!small_.empty()) body_.Append(SharedBytes::Of(std::exchange(small_, {})));
    body_.Append(SharedBytes::Slice(bytes, owner));
  }
  rpc::MessageBody Take() {
    if (!small_.empty()) body_.Append(SharedBytes::Of(std::move(small_)));
    return std::move(body_);
  }

 private:
  std::string small_;
  rpc::MessageBody body_;
};

template <class M>
void Write(FrameField field, const M& message, FrameWriter* out) {
  AppendBytesHead(out->small(), field, FieldsSize(message));
  AppendFields(message, out->small());
}

template <class M>
void WriteProto(FrameField field, const M& message, FrameWriter* out) {
  AppendBytesHead(out->small(), field, message.ByteSizeLong());
  message.AppendToString(out->small());
}

size_t EntrySize(const raft::Entry& entry) {
  return FieldsSize(entry) + BytesHeadSize(kEntryData, entry.data.size()) + entry.data.size();
}

void Write(const raft::AppendRequest& append, FrameWriter* out) {
  size_t size = FieldsSize(append);
  size_t small = 0;
  for (const raft::EntryPtr& entry : append.entries) {
    size_t bytes = EntrySize(*entry);
    size += BytesHeadSize(kAppendEntries, bytes) + bytes;
    small += 2 * kVarintBytesMax + (entry->data.size() < kSpliceBytes ? bytes : 0);
  }
  out->small()->reserve(out->small()->size() + small + 2 * kVarintBytesMax);
  AppendBytesHead(out->small(), kAppend, size);
  AppendFields(append, out->small());
  for (const raft::EntryPtr& entry : append.entries) {
    AppendBytesHead(out->small(), kAppendEntries, EntrySize(*entry));
    AppendFields(*entry, out->small());
    AppendBytesHead(out->small(), kEntryData, entry->data.size());
    out->Add(entry->data, entry);
  }
}

void Write(const raft::ForwardPropose& forward, FrameWriter* out) {
  size_t size = 0;
  for (const std::string& command : forward.commands) {
    size += BytesHeadSize(kCommands, command.size()) + command.size();
  }
  out->small()->reserve(out->small()->size() + size + kVarintBytesMax);
  AppendBytesHead(out->small(), kForwardPropose, size);
  for (const std::string& command : forward.commands) {
    AppendBytesHead(out->small(), kCommands, command.size());
    out->Add(command, nullptr);
  }
}

void Write(const raft::SnapshotNotice& notice, FrameWriter* out) {
  wire::SnapshotNotice message;
  message.set_term(notice.term.value());
  wire::SnapshotMeta& meta = *message.mutable_meta();
  meta.set_index(notice.meta.index.value());
  meta.set_term(notice.meta.term.value());
  wire::ConfState& conf = *meta.mutable_conf();
  for (raft::NodeId id : notice.meta.conf.voters) conf.add_voters(id.value());
  for (raft::NodeId id : notice.meta.conf.outgoing) conf.add_voters_outgoing(id.value());
  for (raft::NodeId id : notice.meta.conf.learners) conf.add_learners(id.value());
  WriteProto(kSnapshotNotice, message, out);
}

void Write(const Hello& hello, FrameWriter* out) {
  wire::Hello message;
  message.set_channel(hello.channel == ChannelKind::kLog ? wire::Hello::LOG : wire::Hello::CONTROL);
  message.set_server_version(hello.server_version);
  for (const std::string& url : hello.peer_urls) message.add_peer_urls(url);
  WriteProto(kHello, message, out);
}

void Write(const replica::PeerLeaseRequest& requests, FrameWriter* out) {
  wire::LeaseCalls message;
  for (const replica::LeaseRequest& request : requests.requests) {
    wire::LeaseCall& call = *message.add_calls();
    call.set_tag(request.tag);
    bool asks = request.kind == replica::LeaseRequest::Kind::kTimeToLive;
    call.set_kind(asks ? wire::LeaseCall::TIME_TO_LIVE : wire::LeaseCall::KEEP_ALIVE);
    call.set_lease(request.id.value());
  }
  WriteProto(kLeaseCalls, message, out);
}

wire::LeaseAnswer::Outcome OutcomeOf(ErrorCode code) {
  if (code == ErrorCode::kOk) return wire::LeaseAnswer::OK;
  return code == ErrorCode::kLeaseNotFound ? wire::LeaseAnswer::NOT_FOUND
                                           : wire::LeaseAnswer::ASK_AGAIN;
}

void Write(const replica::PeerLeaseAnswer& answers, FrameWriter* out) {
  wire::LeaseAnswers message;
  for (const replica::LeaseAnswer& answer : answers.answers) {
    wire::LeaseAnswer& row = *message.add_answers();
    row.set_tag(answer.tag);
    row.set_outcome(OutcomeOf(answer.error));
    row.set_lease(answer.id.value());
    row.set_ttl_seconds(answer.ttl_seconds);
    row.set_granted_seconds(answer.granted_seconds);
  }
  WriteProto(kLeaseAnswers, message, out);
}

void ToWire(const apply::RequestId& id, wire::RequestId* to) {
  to->set_member(id.member);
  to->set_boot_nonce(id.boot_nonce);
  to->set_loop(id.loop.value());
  to->set_counter(id.counter);
}
apply::RequestId FromWire(const wire::RequestId& id) {
  return {id.member(), id.boot_nonce(), LoopId(id.loop()), id.counter()};
}

void Write(const replica::PeerMemberChange& change, FrameWriter* out) {
  wire::MemberChange message;
  ToWire(change.id, message.mutable_id());
  message.set_patience_ns(change.patience.count());
  message.set_verb(static_cast<wire::MemberChange::Verb>(change.what.verb));
  message.set_change(raft::EncodeConfChange(change.what.change));
  WriteProto(kMemberChange, message, out);
}

void Write(const replica::PeerMemberRefusal& refusal, FrameWriter* out) {
  wire::MemberRefusal message;
  ToWire(refusal.id, message.mutable_id());
  message.set_error(static_cast<uint32_t>(refusal.error));
  WriteProto(kMemberRefusal, message, out);
}

struct BodyWriter {
  FrameWriter* out;
  void operator()(const Hello& m) const { Write(m, out); }
  void operator()(const Ping& m) const { Write(kPing, m, out); }
  void operator()(const Pong& m) const { Write(kPong, m, out); }
  void operator()(const raft::Message& m) const { std::visit(*this, m); }
  void operator()(const raft::Heartbeat& m) const { Write(kHeartbeat, m, out); }
  void operator()(const raft::HeartbeatReply& m) const { Write(kHeartbeatReply, m, out); }
  void operator()(const raft::AppendRequest& m) const { Write(m, out); }
  void operator()(const raft::AppendReply& m) const { Write(kAppendReply, m, out); }
  void operator()(const raft::VoteRequest& m) const { Write(kVote, m, out); }
  void operator()(const raft::VoteReply& m) const { Write(kVoteReply, m, out); }
  void operator()(const raft::SnapshotNotice& m) const { Write(m, out); }
  void operator()(const raft::TimeoutNow& m) const { Write(kTimeoutNow, m, out); }
  void operator()(const raft::ForwardPropose& m) const { Write(m, out); }
  void operator()(const raft::ReadRequest& m) const { Write(kRead, m, out); }
  void operator()(const raft::ReadReply& m) const { Write(kReadReply, m, out); }
  void operator()(const replica::PeerMessage& m) const { std::visit(*this, m); }
  void operator()(const replica::PeerLeaseRequest& m) const { Write(m, out); }
  void operator()(const replica::PeerLeaseAnswer& m) const { Write(m, out); }
  void operator()(const replica::PeerMemberChange& m) const { Write(m, out); }
  void operator()(const replica::PeerMemberRefusal& m) const { Write(m, out); }
};

// Reading. nullopt: malformed.
template <class M>
std::optional<Body> ReadRaft(std::string_view bytes) {
  auto message = ReadFields<M>(bytes);
  if (!message) return std::nullopt;
  return raft::Message(std::move(*message));
}
template <class M>
std::optional<Body> ReadOwn(std::string_view bytes) {
  auto message = ReadFields<M>(bytes);
  if (!message) return std::nullopt;
  return Body(std::move(*message));
}

bool IsKnown(raft::EntryKind kind) {
  return kind == raft::EntryKind::kNoop || kind == raft::EntryKind::kCommand ||
         kind == raft::EntryKind::kConfChange;
}

raft::EntryPtr ReadEntry(std::string_view bytes) {
  auto entry = std::make_shared<raft::Entry>();
  FieldReader in(bytes);
  while (in.Next()) {
    if (in.number() == kEntryData && in.type() == WireType::kBytes) {
      entry->data = in.bytes();
    } else {
      SetField(entry.get(), in);
    }
  }
  bool valid = !in.malformed() && IsKnown(entry->kind);
  return valid ? std::move(entry) : nullptr;
}

// Entries follow one another from prev + 1, in terms that do not fall: what the core takes for
// granted.
bool IsChain(const raft::AppendRequest& append) {
  raft::Index index = append.prev;
  raft::Term term = append.prev_term;
  for (const raft::EntryPtr& entry : append.entries) {
    ++index;
    if (entry->index != index || entry->term < term || entry->term > append.term) return false;
    term = entry->term;
  }
  return true;
}

std::optional<Body> ReadAppend(std::string_view bytes) {
  raft::AppendRequest append;
  FieldReader in(bytes);
  while (in.Next()) {
    if (in.number() != kAppendEntries || in.type() != WireType::kBytes) {
      SetField(&append, in);
      continue;
    }
    raft::EntryPtr entry = ReadEntry(in.bytes());
    if (entry == nullptr) return std::nullopt;
    append.entries.push_back(std::move(entry));
  }
  if (in.malformed() || !IsChain(append)) return std::nullopt;
  return raft::Message(std::move(append));
}

std::optional<Body> ReadForward(std::string_view bytes) {
  raft::ForwardPropose forward;
  FieldReader in(bytes);
  while (in.Next()) {
    if (in.number() == kCommands && in.type() == WireType::kBytes) {
      forward.commands.emplace_back(in.bytes());
    }
  }
  if (in.malformed()) return std::nullopt;
  return raft::Message(std::move(forward));
}

template <class M>
bool Parse(M* message, std::string_view bytes) {
  return bytes.size() <= static_cast<size_t>(std::numeric_limits<int>::max()) &&
         message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

std::optional<Body> ReadNotice(std::string_view bytes) {
  wire::SnapshotNotice message;
  if (!Parse(&message, bytes)) return std::nullopt;
  raft::SnapshotNotice notice;
  notice.term = raft::Term(message.term());
  notice.meta.index = raft::Index(message.meta().index());
  notice.meta.term = raft::Term(message.meta().term());
  const wire::ConfState& conf = message.meta().conf();
  for (uint64_t id : conf.voters()) notice.meta.conf.voters.emplace_back(id);
  for (uint64_t id : conf.voters_outgoing()) notice.meta.conf.outgoing.emplace_back(id);
  for (uint64_t id : conf.learners()) notice.meta.conf.learners.emplace_back(id);
  if (!raft::IsValid(notice.meta.conf)) return std::nullopt;
  return raft::Message(std::move(notice));
}

std::optional<Body> ReadHello(std::string_view bytes) {
  wire::Hello message;
  if (!Parse(&message, bytes)) return std::nullopt;
  if (message.channel() != wire::Hello::CONTROL && message.channel() != wire::Hello::LOG) {
    return std::nullopt;
  }
  return Hello{message.channel() == wire::Hello::LOG ? ChannelKind::kLog : ChannelKind::kControl,
               message.server_version(),
               {message.peer_urls().begin(), message.peer_urls().end()}};
}

std::optional<Body> ReadLeaseCalls(std::string_view bytes) {
  wire::LeaseCalls message;
  if (!Parse(&message, bytes)) return std::nullopt;
  replica::PeerLeaseRequest requests;
  for (const wire::LeaseCall& call : message.calls()) {
    using enum replica::LeaseRequest::Kind;
    bool asks = call.kind() == wire::LeaseCall::TIME_TO_LIVE;
    requests.requests.push_back(
        {asks ? kTimeToLive : kKeepAlive, call.tag(), LeaseId(call.lease()), {}});
  }
  return replica::PeerMessage(std::move(requests));
}

std::optional<Body> ReadLeaseAnswers(std::string_view bytes) {
  wire::LeaseAnswers message;
  if (!Parse(&message, bytes)) return std::nullopt;
  replica::PeerLeaseAnswer answers;
  for (const wire::LeaseAnswer& row : message.answers()) {
    replica::LeaseAnswer answer;
    answer.tag = row.tag();
    answer.id = LeaseId(row.lease());
    answer.ttl_seconds = row.ttl_seconds();
    answer.granted_seconds = row.granted_seconds();
    if (row.outcome() == wire::LeaseAnswer::NOT_FOUND) {
      answer.error = ErrorCode::kLeaseNotFound;
    } else if (row.outcome() != wire::LeaseAnswer::OK) {
      answer.error = ErrorCode::kNotLeader;
    }
    answers.answers.push_back(std::move(answer));
  }
  return replica::PeerMessage(std::move(answers));
}

std::optional<Body> ReadMemberChange(std::string_view bytes) {
  wire::MemberChange message;
  if (!Parse(&message, bytes)) return std::nullopt;
  auto change = raft::DecodeConfChange(message.change());
  bool known = message.verb() == wire::MemberChange::ADD ||
               message.verb() == wire::MemberChange::REMOVE ||
               message.verb() == wire::MemberChange::PROMOTE;
  if (!change || !known) return std::nullopt;
  replica::PeerMemberChange out;
  out.id = FromWire(message.id());
  out.patience = Duration(message.patience_ns());
  out.what = {static_cast<replica::MemberChange::Verb>(message.verb()), std::move(*change)};
  return replica::PeerMessage(std::move(out));
}

std::optional<Body> ReadMemberRefusal(std::string_view bytes) {
  wire::MemberRefusal message;
  if (!Parse(&message, bytes)) return std::nullopt;
  auto error = static_cast<ErrorCode>(message.error());
  // Of a newer release, or nonsense: the caller must hear something.
  bool known = message.error() <= UINT16_MAX && error != ErrorCode::kOk && Name(error) != "unknown";
  return replica::PeerMessage(
      replica::PeerMemberRefusal{FromWire(message.id()), known ? error : ErrorCode::kInternal});
}

std::optional<Body> ReadSmall(uint32_t field, std::string_view bytes) {
  switch (field) {
    case kPing:
      return ReadOwn<Ping>(bytes);
    case kPong:
      return ReadOwn<Pong>(bytes);
    case kHeartbeat:
      return ReadRaft<raft::Heartbeat>(bytes);
    case kHeartbeatReply:
      return ReadRaft<raft::HeartbeatReply>(bytes);
    case kAppendReply:
      return ReadRaft<raft::AppendReply>(bytes);
    case kVote:
      return ReadRaft<raft::VoteRequest>(bytes);
    case kVoteReply:
      return ReadRaft<raft::VoteReply>(bytes);
    case kTimeoutNow:
      return ReadRaft<raft::TimeoutNow>(bytes);
    case kRead:
      return ReadRaft<raft::ReadRequest>(bytes);
    case kReadReply:
      return ReadRaft<raft::ReadReply>(bytes);
    default:
      return std::nullopt;
  }
}

std::optional<Body> ReadBody(uint32_t field, std::string_view bytes) {
  switch (field) {
    case kHello:
      return ReadHello(bytes);
    case kAppend:
      return ReadAppend(bytes);
    case kSnapshotNotice:
      return ReadNotice(bytes);
    case kForwardPropose:
      return ReadForward(bytes);
    case kLeaseCalls:
      return ReadLeaseCalls(bytes);
    case kLeaseAnswers:
      return ReadLeaseAnswers(bytes);
    case kMemberChange:
      return ReadMemberChange(bytes);
    case kMemberRefusal:
      return ReadMemberRefusal(bytes);
    default:
      return ReadSmall(field, bytes);
  }
}

tl::unexpected<Error> NotAFrame(const char* why) {
  return Fail(ErrorCode::kInvalidArgument, std::string("malformed peer frame: ") + why);
}

}  // namespace

ChannelKind ChannelOf(const raft::Message& message) {
  // A follower's reply to an append goes back on the log channel too: it must not overtake nor be
  // overtaken by what else concerns the log.
  bool log = std::holds_alternative<raft::AppendRequest>(message) ||
             std::holds_alternative<raft::AppendReply>(message) ||
             std::holds_alternative<raft::ForwardPropose>(message);
  return log ? ChannelKind::kLog : ChannelKind::kControl;
}

rpc::MessageBody EncodeFrame(const FrameHeader& header, const Body& body) {
  FrameWriter out(header);
  std::visit(BodyWriter{&out}, body);
  return out.Take();
}

Result<Frame> DecodeFrame(std::string_view bytes) {
  FrameHeader header;
  header.protocol = 0;
  uint32_t field = 0;
  std::string_view content;
  FieldReader in(bytes);
  while (in.Next()) {
    bool fixed = in.type() == WireType::kFixed64;
    if (in.number() == kCluster && fixed) header.cluster = ClusterId(in.value());
    if (in.number() == kFrom && fixed) header.from = raft::NodeId(in.value());
    if (in.number() == kTo && fixed) header.to = raft::NodeId(in.value());
    if (in.number() == kProtocolField && in.type() == WireType::kVarint) {
      header.protocol = static_cast<uint32_t>(in.value());
    }
    if (in.number() < kHello || in.type() != WireType::kBytes) continue;
    if (field != 0) return NotAFrame("two bodies");
    field = in.number();
    content = in.bytes();
  }
  if (in.malformed()) return NotAFrame("it ends early");
  if (field == 0) return NotAFrame("no body");
  // Of another protocol: the header says so, and nobody may read the rest.
  if (header.protocol != kProtocol) return Frame{header, Hello{}};
  auto body = ReadBody(field, content);
  if (!body) return NotAFrame("its body does not parse");
  return Frame{header, std::move(*body)};
}

}  // namespace store::peer

// SPDX-License-Identifier: Apache-2.0
// The public API against wire_table.txt, through the descriptors that are linked into every binary.
// Both directions count: a line without a descriptor and a descriptor without a line fail.
#include "etcd/auth.pb.h"
#include "etcd/kv.pb.h"
#include "etcd/membership.pb.h"
#include "etcd/rpc.pb.h"
#include "etcd/v3election.pb.h"
#include "etcd/v3lock.pb.h"
#include "health.pb.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;

using Lines = std::vector<std::string>;

// Naming each file through a generated message makes the linker keep it.
std::vector<const FileDescriptor*> PublicFiles() {
  return {etcdserverpb::ResponseHeader::descriptor()->file(),
          mvccpb::KeyValue::descriptor()->file(),
          authpb::User::descriptor()->file(),
          v3lockpb::LockRequest::descriptor()->file(),
          v3electionpb::LeaderKey::descriptor()->file(),
          membershippb::Member::descriptor()->file(),
          grpc::health::v1::HealthCheckRequest::descriptor()->file()};
}

std::string TypeOf(const FieldDescriptor& field) {
  if (field.message_type() != nullptr) return field.message_type()->full_name();
  if (field.enum_type() != nullptr) return field.enum_type()->full_name();
  return field.type_name();
}

std::string LabelOf(const FieldDescriptor& field) {
  if (field.is_repeated()) return "repeated";
  if (field.has_optional_keyword()) return "optional";
  if (field.containing_oneof() == nullptr) return "singular";
  return "oneof=" + field.containing_oneof()->name();
}

std::string KindOf(const MethodDescriptor& method) {
  if (method.client_streaming()) return method.server_streaming() ? "bidi" : "client";
  return method.server_streaming() ? "server" : "unary";
}

void Append(const EnumDescriptor& type, Lines& lines) {
  for (int i = 0; i < type.value_count(); ++i) {
    lines.push_back(fmt::format("enum {} {} {}", type.full_name(), type.value(i)->name(),
                                type.value(i)->number()));
  }
}

void Append(const Descriptor& message, Lines& lines) {
  lines.push_back("message " + message.full_name());
  for (int i = 0; i < message.enum_type_count(); ++i) Append(*message.enum_type(i), lines);
  for (int i = 0; i < message.nested_type_count(); ++i) Append(*message.nested_type(i), lines);
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    lines.push_back(fmt::format("field {} {} {} {}", field.full_name(), field.number(),
                                TypeOf(field), LabelOf(field)));
  }
}

void Append(const MethodDescriptor& method, Lines& lines) {
  lines.push_back(fmt::format("rpc /{}/{} {} {} {}", method.service()->full_name(), method.name(),
                              KindOf(method), method.input_type()->full_name(),
                              method.output_type()->full_name()));
}

Lines Describe(const FileDescriptor& file) {
  Lines lines;
  for (int i = 0; i < file.enum_type_count(); ++i) Append(*file.enum_type(i), lines);
  for (int i = 0; i < file.message_type_count(); ++i) Append(*file.message_type(i), lines);
  for (int i = 0; i < file.service_count(); ++i) {
    for (int j = 0; j < file.service(i)->method_count(); ++j) {
      Append(*file.service(i)->method(j), lines);
    }
  }
  return lines;
}

Lines DescribeAll() {
  Lines lines;
  for (const FileDescriptor* file : PublicFiles()) {
    Lines of_file = Describe(*file);
    lines.insert(lines.end(), of_file.begin(), of_file.end());
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

Lines ReadTable() {
  std::ifstream in(WIRE_TABLE);
  Lines lines;
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line.front() != '#') lines.push_back(line);
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

Lines Without(const Lines& from, const Lines& what) {
  Lines rest;
  std::set_difference(from.begin(), from.end(), what.begin(), what.end(), std::back_inserter(rest));
  return rest;
}

size_t CountPrefix(const Lines& lines, std::string_view prefix) {
  return static_cast<size_t>(std::count_if(
      lines.begin(), lines.end(),
      [&](const std::string& line) { return std::string_view(line).starts_with(prefix); }));
}

// Nested enums included; counted by type, where the lines of Describe are by value.
int CountEnums(const FileDescriptor& file) {
  int count = file.enum_type_count();
  for (int i = 0; i < file.message_type_count(); ++i) {
    count += file.message_type(i)->enum_type_count();
  }
  return count;
}

TEST(WireTable, HasNoLineTwice) {
  const Lines table = ReadTable();
  ASSERT_GT(table.size(), 450u) << "not read: " << WIRE_TABLE;
  EXPECT_EQ(std::adjacent_find(table.begin(), table.end()), table.end());
}

TEST(WireTable, DescriptorsSayTheSameInBothDirections) {
  const Lines table = ReadTable();
  const Lines described = DescribeAll();
  EXPECT_EQ(Without(table, described), Lines{}) << "in the table only";
  EXPECT_EQ(Without(described, table), Lines{}) << "in the .proto files only";
  EXPECT_EQ(table.size(), described.size());
}

// Messages and enums at any depth (rpc.proto nests enums only), fields with those of oneofs.
TEST(RpcProto, HasAsManyDefinitionsAsTheOriginal) {
  const FileDescriptor& file = *etcdserverpb::ResponseHeader::descriptor()->file();
  const Lines lines = Describe(file);
  EXPECT_EQ(CountPrefix(lines, "message "), 98u);
  EXPECT_EQ(CountPrefix(lines, "field "), 219u);
  EXPECT_EQ(CountPrefix(lines, "rpc "), 42u);
  EXPECT_EQ(CountEnums(file), 8);
}

// Presence would put zero values on the wire that etcd leaves out.
TEST(PublicFiles, AreProto3WithoutPresenceOfScalars) {
  for (const FileDescriptor* file : PublicFiles()) {
    EXPECT_EQ(file->syntax(), FileDescriptor::SYNTAX_PROTO3) << file->name();
  }
  for (const std::string& line : DescribeAll()) EXPECT_FALSE(line.ends_with(" optional")) << line;
}

TEST(PublicFiles, NeedNothingFromOtherProjects) {
  for (const FileDescriptor* file : PublicFiles()) {
    for (int i = 0; i < file->dependency_count(); ++i) {
      EXPECT_TRUE(file->dependency(i)->name().starts_with("etcd/")) << file->dependency(i)->name();
    }
  }
}

}  // namespace

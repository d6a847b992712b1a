// SPDX-License-Identifier: Apache-2.0
// PutMessage: a PutRequest as the transport hands it over, read in place. Its bytes go into the log
// as they came, so nothing of it is copied or encoded again; the generated message is made only of
// bytes that are not read without it, and then it decides. A view: fields and bytes are good until
// the handler that got the call returns. The loop of its call.
#pragma once

#include "store/apply/put_command.h"

#include <etcd/rpc.pb.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace store::api {

class PutMessage {
 public:
  bool ParseFromArray(const void* data, int size) {
    bytes_ = {static_cast<const char*>(data), static_cast<size_t>(size)};
    if (auto fields = apply::ReadPutFields(bytes_)) {
      fields_ = *fields;
      return true;
    }
    parsed_ = std::make_unique<etcdserverpb::PutRequest>();
    if (!parsed_->ParseFromArray(data, size)) return false;
    fields_ = apply::FieldsOf(*parsed_);
    return true;
  }
  bool AppendToString(std::string* out) const {
    out->append(bytes_);
    return true;
  }
  size_t ByteSizeLong() const { return bytes_.size(); }

  const apply::PutFields& fields() const { return fields_; }
  std::string_view bytes() const { return bytes_; }

 private:
  std::string_view bytes_;
  apply::PutFields fields_;
  std::unique_ptr<etcdserverpb::PutRequest> parsed_;  // what fields_ points into, if there
};

}  // namespace store::api

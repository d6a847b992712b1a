// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/fault_file_system.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace store::wal {

class FaultFile final : public WalFile {
 public:
  FaultFile(FaultFileSystem& files, std::shared_ptr<FaultFileSystem::Inode> inode, uint64_t life)
      : files_(files), inode_(std::move(inode)), life_(life) {}

  Status Write(uint64_t offset, std::string_view bytes) override {
    MutexLock lock(files_.mutex_);
    RETURN_IF_ERROR(Count("write"));
    if (inode_->current.size() < offset + bytes.size()) {
      inode_->current.resize(offset + bytes.size(), '\0');
    }
    inode_->current.replace(offset, bytes.size(), bytes);
    return Ok();
  }
  Result<std::string> Read(uint64_t offset, size_t size) const override {
    MutexLock lock(files_.mutex_);
    if (offset >= inode_->current.size()) return std::string();
    return inode_->current.substr(offset, size);
  }
  Status Sync() override {
    MutexLock lock(files_.mutex_);
    RETURN_IF_ERROR(Count("sync"));
    inode_->durable = inode_->current;
    return Ok();
  }
  Status Preallocate(uint64_t bytes) override {
    MutexLock lock(files_.mutex_);
    RETURN_IF_ERROR(Count("preallocate"));
    if (files_.full_) return Fail(ErrorCode::kNoSpace, "the disk is full");
    if (inode_->current.size() < bytes) inode_->current.resize(bytes, '\0');
    return Ok();
  }
  Result<uint64_t> Size() const override {
    MutexLock lock(files_.mutex_);
    return inode_->current.size();
  }

 private:
  Status Count(const std::string& what) ABSL_EXCLUSIVE_LOCKS_REQUIRED(files_.mutex_) {
    if (life_ != files_.life_) return Fail(ErrorCode::kIo, "a file of a former life");
    return files_.CountOperation(what);
  }

  FaultFileSystem& files_;
  std::shared_ptr<FaultFileSystem::Inode> inode_;
  uint64_t life_;
};

Status FaultFileSystem::CountOperation(const std::string& what) {
  if (operations_++ >= fail_from_) return Fail(ErrorCode::kIo, fmt::format("{} failed", what));
  return Ok();
}

void FaultFileSystem::Apply(const NameChange& change, Names* names) {
  if (change.inode == nullptr) {
    names->erase(change.path);
  } else {
    (*names)[change.path] = change.inode;
  }
}

void FaultFileSystem::Bind(const std::string& path, std::shared_ptr<Inode> inode) {
  pending_.push_back({path, std::move(inode)});
  Apply(pending_.back(), &names_);
}

Result<std::unique_ptr<WalFile>> FaultFileSystem::Open(const std::string& path) {
  MutexLock lock(mutex_);
  auto at = names_.find(path);
  if (at == names_.end()) return Fail(ErrorCode::kNotFound, path);
  return std::make_unique<FaultFile>(*this, at->second, life_);
}

Result<std::unique_ptr<WalFile>> FaultFileSystem::Create(const std::string& path) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(CountOperation("create"));
  auto inode = std::make_shared<Inode>();
  Bind(path, inode);
  return std::make_unique<FaultFile>(*this, std::move(inode), life_);
}

Status FaultFileSystem::Rename(const std::string& from, const std::string& to) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(CountOperation("rename"));
  auto at = names_.find(from);
  if (at == names_.end()) return Fail(ErrorCode::kNotFound, from);
  std::shared_ptr<Inode> inode = at->second;
  Bind(to, std::move(inode));
  Bind(from, nullptr);
  return Ok();
}

Status FaultFileSystem::Remove(const std::string& path) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(CountOperation("remove"));
  if (!names_.contains(path)) return Fail(ErrorCode::kNotFound, path);
  Bind(path, nullptr);
  return Ok();
}

// One directory is enough for what stands behind this seam: its sync makes all names durable.
Status FaultFileSystem::SyncDirectory(const std::string&) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(CountOperation("sync directory"));
  for (const NameChange& change : std::exchange(pending_, {})) Apply(change, &durable_names_);
  return Ok();
}

Status FaultFileSystem::MakeDirectory(const std::string&) { return Ok(); }

Result<std::vector<std::string>> FaultFileSystem::List(const std::string& path) {
  MutexLock lock(mutex_);
  std::vector<std::string> found;
  for (const auto& [name, inode] : names_) {
    if (name.starts_with(path + "/")) found.push_back(name.substr(path.size() + 1));
  }
  return found;
}

uint64_t FaultFileSystem::operations() const {
  MutexLock lock(mutex_);
  return operations_;
}

void FaultFileSystem::FailFrom(uint64_t operation) {
  MutexLock lock(mutex_);
  fail_from_ = operation;
}

void FaultFileSystem::SetFull(bool full) {
  MutexLock lock(mutex_);
  full_ = full;
}

void FaultFileSystem::Crash(Survival survival, Random* random) {
  MutexLock lock(mutex_);
  ++life_;
  fail_from_ = UINT64_MAX;
  size_t kept = survival == Survival::kEverything ? pending_.size() : 0;
  if (survival == Survival::kRandom) kept = random->Below(pending_.size() + 1);
  for (size_t i = 0; i < kept; ++i) Apply(pending_[i], &durable_names_);
  pending_.clear();
  names_ = durable_names_;
  for (auto& [path, inode] : names_) {
    if (survival == Survival::kEverything) inode->durable = inode->current;
    for (size_t at = 0; survival == Survival::kRandom && at < inode->current.size();
         at += kPageBytes) {
      std::string page = inode->current.substr(at, kPageBytes);
      bool same = at < inode->durable.size() && inode->durable.compare(at, page.size(), page) == 0;
      if (same || random->Chance(0.5)) continue;
      if (inode->durable.size() < at + page.size()) inode->durable.resize(at + page.size(), '\0');
      inode->durable.replace(at, page.size(), page);
    }
    inode->current = inode->durable;
  }
}

std::string FaultFileSystem::Get(const std::string& path) const {
  MutexLock lock(mutex_);
  auto at = names_.find(path);
  return at == names_.end() ? std::string() : at->second->current;
}

void FaultFileSystem::Set(const std::string& path, std::string bytes) {
  MutexLock lock(mutex_);
  auto inode = std::make_shared<Inode>(Inode{bytes, bytes});
  names_[path] = inode;
  durable_names_[path] = inode;
}

std::vector<std::string> FaultFileSystem::Paths() const {
  MutexLock lock(mutex_);
  std::vector<std::string> paths;
  for (const auto& [path, inode] : names_) paths.push_back(path);
  return paths;
}

std::unique_ptr<FaultFileSystem> FaultFileSystem::Clone() const {
  MutexLock lock(mutex_);
  auto copy = std::make_unique<FaultFileSystem>();
  MutexLock copy_lock(copy->mutex_);
  std::map<std::shared_ptr<Inode>, std::shared_ptr<Inode>> copies;
  auto copy_of = [&copies](const std::shared_ptr<Inode>& inode) -> std::shared_ptr<Inode> {
    if (inode == nullptr) return nullptr;
    std::shared_ptr<Inode>& twin = copies[inode];
    if (twin == nullptr) twin = std::make_shared<Inode>(*inode);
    return twin;
  };
  for (const auto& [path, inode] : names_) copy->names_[path] = copy_of(inode);
  for (const auto& [path, inode] : durable_names_) copy->durable_names_[path] = copy_of(inode);
  for (const NameChange& change : pending_) {
    copy->pending_.push_back({change.path, copy_of(change.inode)});
  }
  return copy;
}

}  // namespace store::wal

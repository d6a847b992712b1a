// SPDX-License-Identifier: Apache-2.0
// Where a torture script's files are: a simulated file system, or a directory that is really there.
// One thread.
#pragma once

#include "store/base/check.h"
#include "tests/agent/sim_file_system.h"
#include "tests/unit/shard/temp_dir.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <sys/stat.h>

namespace logagent::testing {

// What a script does to files, on either disk. Paths are "/name" below the disk's root.
class Disk {
 public:
  virtual ~Disk() = default;
  virtual std::string Root() const = 0;
  virtual FileSystem& files() = 0;
  virtual uint64_t InodeAt(const std::string& path) = 0;
  virtual void Append(const std::string& path, const std::string& bytes) = 0;
  virtual void Rename(const std::string& from, const std::string& to) = 0;
  virtual void Copy(const std::string& from, const std::string& to) = 0;
  virtual void Truncate(const std::string& path) = 0;
  virtual void Remove(const std::string& path) = 0;
  virtual void Link(const std::string& target, const std::string& path) = 0;
  virtual void Overflow() {}
  virtual void LimitWatches(bool) {}
};

class SimDisk final : public Disk {
 public:
  explicit SimDisk(const store::Clock& clock) : sim_(clock) {
    sim_.MakeDirectory("/logs");
    sim_.MakeDirectory("/logs/real");
  }
  std::string Root() const override { return "/logs"; }
  FileSystem& files() override { return sim_; }
  uint64_t InodeAt(const std::string& path) override { return sim_.Find(path)->number; }
  void Append(const std::string& path, const std::string& bytes) override {
    sim_.Append(path, bytes);
  }
  void Rename(const std::string& from, const std::string& to) override { sim_.Rename(from, to); }
  void Copy(const std::string& from, const std::string& to) override { sim_.Copy(from, to); }
  void Truncate(const std::string& path) override { sim_.Truncate(path); }
  void Remove(const std::string& path) override { sim_.Remove(path); }
  void Link(const std::string& target, const std::string& path) override {
    sim_.Link(target, path);
  }
  void Overflow() override { sim_.Overflow(); }
  void LimitWatches(bool limited) override { sim_.watches_max = limited ? 0 : SIZE_MAX; }

 private:
  SimFileSystem sim_;
};

class RealDisk final : public Disk {
 public:
  RealDisk() { std::filesystem::create_directory(dir_ / "real"); }
  std::string Root() const override { return dir_.path().string(); }
  FileSystem& files() override { return files_; }
  uint64_t InodeAt(const std::string& path) override {
    struct stat status{};
    CHECK(::stat(path.c_str(), &status) == 0, "{}", path);
    return status.st_ino;
  }
  void Append(const std::string& path, const std::string& bytes) override {
    logagent::Append(path, bytes);
  }
  void Rename(const std::string& from, const std::string& to) override {
    std::filesystem::rename(from, to);
  }
  void Copy(const std::string& from, const std::string& to) override {
    std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
  }
  void Truncate(const std::string& path) override { std::filesystem::resize_file(path, 0); }
  void Remove(const std::string& path) override { std::filesystem::remove(path); }
  void Link(const std::string& target, const std::string& path) override {
    std::filesystem::create_symlink(target, path + ".new");
    std::filesystem::rename(path + ".new", path);
  }

 private:
  TempDir dir_;
  PosixFileSystem files_;
};

}  // namespace logagent::testing

// SPDX-License-Identifier: Apache-2.0
#include "tests/agent/sim_file_system.h"

#include "logagent/model/model.h"
#include "logagent/tail/glob.h"
#include "store/base/check.h"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <utility>

namespace logagent::testing {
namespace {

constexpr size_t kQueueMax = 4096;

struct SimFile final : FileHandle {
  SimFile(SimInodePtr file, std::shared_ptr<size_t> count)
      : inode(std::move(file)), stale(inode->stale), open(std::move(count)) {
    ++*open;
  }
  ~SimFile() override { --*open; }
  SimInodePtr inode;
  uint64_t stale;
  std::shared_ptr<size_t> open;
};

Result<SimInode*> InodeOf(const FileHandle& handle) {
  const auto& file = static_cast<const SimFile&>(handle);
  if (file.stale != file.inode->stale) {
    return store::Fail(OpenFileError(ESTALE, "a file"));
  }
  return file.inode.get();
}

FileFacts FactsOf(const SimInode& inode) {
  return {inode.device, inode.number,      inode.bytes.size(),
          inode.links,  inode.modified_ns, !inode.directory && inode.link.empty()};
}

std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }
std::string DirectoryOf(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

class SimNotifier final : public Notifier {
 public:
  explicit SimNotifier(SimFileSystem& files) : files_(files) { files_.notifiers_.insert(this); }
  ~SimNotifier() override { files_.notifiers_.erase(this); }

  Result<bool> Watch(const Path& directory) override {
    SimInodePtr inode = files_.Find(directory.native());
    std::string name = directory.native();
    if (inode == nullptr || !inode->directory) {
      names_.erase(name);
      return store::Fail(store::ErrnoError(ENOENT, name));
    }
    auto at = names_.find(name);
    if (at != names_.end() && at->second.lock() == inode) {
      return false;
    }
    if (at == names_.end() && names_.size() >= files_.watches_max) {
      return store::Fail(store::ErrnoError(ENOSPC, name));
    }
    names_[name] = inode;
    return true;
  }
  void Unwatch(const Path& directory) override { names_.erase(directory.native()); }
  size_t watches() const { return names_.size(); }
  int Fd() const override { return -1; }
  void Drain(absl::FunctionRef<void(const NotifyEvent&)> handle) override {
    for (const NotifyEvent& event : std::exchange(queue_, {})) {
      handle(event);
    }
  }
  void Tell(const SimInodePtr& directory, const std::string& name, NotifyEvent::Kind kind,
            const std::string& from) {
    for (const auto& [path, watched] : names_) {
      if (watched.lock() == directory) {
        Add({kind, Path(path) / name, false, from});
      }
    }
  }
  void Overflow() {
    queue_.clear();
    queue_.push_back({NotifyEvent::Kind::kOverflow, {}, false, {}});
  }

 private:
  void Add(NotifyEvent event) {
    if (queue_.size() >= kQueueMax) {
      Overflow();
      return;
    }
    queue_.push_back(std::move(event));
  }

  SimFileSystem& files_;
  std::map<std::string, std::weak_ptr<SimInode>> names_;
  std::deque<NotifyEvent> queue_;
};

SimFileSystem::SimFileSystem(const store::Clock& clock)
    : clock_(clock),
      free_numbers_(std::make_shared<std::set<uint64_t>>()),
      open_(std::make_shared<size_t>(0)) {
  root_ = MakeInode();
  root_->directory = true;
}

// The smallest free number: a file created after another was deleted gets its inode.
SimInodePtr SimFileSystem::MakeInode() {
  auto give_back = [numbers = free_numbers_](SimInode* inode) {
    numbers->insert(inode->number);
    delete inode;
  };
  SimInodePtr inode(new SimInode, give_back);
  if (free_numbers_->empty()) {
    inode->number = next_number_++;
  } else {
    inode->number = free_numbers_->extract(free_numbers_->begin()).value();
  }
  TouchAll(inode);
  return inode;
}

void SimFileSystem::TouchAll(const SimInodePtr& inode) {
  inode->modified_ns = clock_.Now().time_since_epoch().count() + ++writes_;
}

SimInodePtr SimFileSystem::Resolve(const std::string& path, int hops) const {
  SimInodePtr at = Entry(path);
  if (at == nullptr || at->link.empty()) {
    return at;
  }
  return hops > 8 ? nullptr : Resolve(at->link, hops + 1);
}

SimInodePtr SimFileSystem::Entry(const std::string& path) const {
  SimInodePtr at = root_;
  for (const Path& part : Path(path)) {
    std::string name = part.string();
    if (name == "/" || name.empty()) {
      continue;
    }
    for (int hops = 0; at != nullptr && !at->link.empty() && hops < 8; ++hops) {
      at = Entry(at->link);
    }
    if (at == nullptr || !at->directory) {
      return nullptr;
    }
    auto found = at->names.find(name);
    at = found == at->names.end() ? nullptr : found->second;
  }
  return at;
}

SimInodePtr SimFileSystem::Parent(const std::string& path) const {
  SimInodePtr parent = Resolve(DirectoryOf(path), 0);
  CHECK(parent != nullptr && parent->directory, "no directory for {}", path);
  return parent;
}

void SimFileSystem::Put(const std::string& path, SimInodePtr inode) {
  SimInodePtr parent = Parent(path);
  inode->device = parent->device;
  ++inode->links;
  parent->names[NameOf(path)] = std::move(inode);
}

SimInodePtr SimFileSystem::Take(const std::string& path) {
  SimInodePtr parent = Parent(path);
  auto found = parent->names.find(NameOf(path));
  if (found == parent->names.end()) {
    return nullptr;
  }
  SimInodePtr inode = found->second;
  parent->names.erase(found);
  --inode->links;
  return inode;
}

void SimFileSystem::Tell(const std::string& path, NotifyEvent::Kind kind, const std::string& from) {
  SimInodePtr parent = Parent(path);
  for (SimNotifier* notifier : notifiers_) {
    notifier->Tell(parent, NameOf(path), kind, from);
  }
}

void SimFileSystem::MakeDirectory(const std::string& path) {
  SimInodePtr directory = MakeInode();
  directory->directory = true;
  Put(path, std::move(directory));
  Tell(path, NotifyEvent::Kind::kAppeared);
}

void SimFileSystem::Append(const std::string& path, std::string_view bytes) {
  std::string real = path;
  for (SimInodePtr at = Entry(real); at != nullptr && !at->link.empty(); at = Entry(real)) {
    real = at->link;
  }
  SimInodePtr file = Entry(real);
  if (file == nullptr) {
    file = MakeInode();
    Put(real, file);
    Tell(real, NotifyEvent::Kind::kAppeared);
  }
  file->bytes.append(bytes);
  TouchAll(file);
  Tell(real, NotifyEvent::Kind::kModified);
}

void SimFileSystem::Rename(const std::string& from, const std::string& to) {
  SimInodePtr inode = Take(from);
  CHECK(inode != nullptr, "{} is not there", from);
  Take(to);
  Put(to, std::move(inode));
  Tell(from, NotifyEvent::Kind::kVanished);
  Tell(to, NotifyEvent::Kind::kAppeared, from);
}

void SimFileSystem::Copy(const std::string& from, const std::string& to) {
  std::string bytes = Find(from)->bytes;
  Take(to);
  Append(to, bytes);
}

void SimFileSystem::Truncate(const std::string& path) {
  SimInodePtr file = Find(path);
  file->bytes.clear();
  TouchAll(file);
  Tell(path, NotifyEvent::Kind::kModified);
}

void SimFileSystem::Remove(const std::string& path) {
  Take(path);
  Tell(path, NotifyEvent::Kind::kVanished);
}

void SimFileSystem::Link(const std::string& target, const std::string& path) {
  SimInodePtr link = MakeInode();
  link->link = target;
  Take(path);
  Put(path, std::move(link));
  Tell(path, NotifyEvent::Kind::kAppeared);
}

void SimFileSystem::SetReadable(const std::string& path, bool readable) {
  Find(path)->readable = readable;
  Tell(path, NotifyEvent::Kind::kModified);
}

void SimFileSystem::Unmount(const std::string& directory) {
  SimInodePtr inode = Find(directory);
  unmounted_[directory] = std::exchange(inode->names, {});
  inode->device = 1;
}

void SimFileSystem::Mount(const std::string& directory) {
  SimInodePtr inode = Find(directory);
  inode->device = 7;
  inode->names = std::exchange(unmounted_[directory], {});
  for (auto& [name, file] : inode->names) {
    file->device = 7;
  }
}

size_t SimFileSystem::watches() const {
  size_t watches = 0;
  for (const SimNotifier* notifier : notifiers_) {
    watches += notifier->watches();
  }
  return watches;
}

void SimFileSystem::Overflow() {
  for (SimNotifier* notifier : notifiers_) {
    notifier->Overflow();
  }
}

Result<FileHandlePtr> SimFileSystem::Open(const Path& path) {
  ++opens_;
  SimInodePtr inode = Find(path.native());
  int error = inode == nullptr     ? ENOENT
              : !inode->readable   ? EACCES
              : *open_ >= open_max ? EMFILE
                                   : 0;
  if (error != 0) {
    return store::Fail(store::ErrnoError(error, path.native()));
  }
  return std::make_unique<SimFile>(std::move(inode), open_);
}

Result<FileFacts> SimFileSystem::Stat(const FileHandle& file) const {
  auto inode = InodeOf(file);
  RETURN_IF_ERROR(inode);
  return FactsOf(**inode);
}

Result<FileFacts> SimFileSystem::StatPath(const Path& path) const {
  SimInodePtr inode = Find(path.native());
  if (inode == nullptr) {
    return store::Fail(store::ErrnoError(ENOENT, path.native()));
  }
  return FactsOf(*inode);
}

Result<size_t> SimFileSystem::ReadAt(const FileHandle& file, uint64_t offset,
                                     std::span<char> into) {
  auto inode = InodeOf(file);
  RETURN_IF_ERROR(inode);
  const std::string& bytes = (*inode)->bytes;
  return offset >= bytes.size() ? 0 : bytes.copy(into.data(), into.size(), offset);
}

Result<std::vector<DirectoryEntry>> SimFileSystem::List(const Path& directory) const {
  SimInodePtr inode = Find(directory.native());
  if (inode == nullptr || !inode->directory) {
    return store::Fail(store::ErrnoError(ENOENT, directory.native()));
  }
  std::vector<DirectoryEntry> entries;
  for (const auto& [name, child] : inode->names) {
    SimInodePtr real = Find((directory / name).native());
    entries.push_back({name, child->number, real != nullptr && real->directory});
  }
  names_listed_ += entries.size();
  return entries;
}

Result<GlobMatch> SimFileSystem::Glob(const std::string& pattern) const {
  SimInodePtr literal = Find(pattern);
  if (HasGlobCharacters(pattern) && literal == nullptr) {
    return WalkGlob(*this, pattern);
  }
  GlobMatch match;
  if (literal != nullptr) {
    match.files.emplace_back(pattern);
  }
  match.directories.push_back(NearestDirectory(*this, Path(pattern).parent_path()));
  return match;
}

std::optional<LinkTrail> SimFileSystem::FollowLink(const Path& path) const {
  SimInodePtr at = Entry(path.native());
  LinkTrail trail;
  trail.target = path;
  while (at != nullptr && !at->link.empty()) {
    trail.target = at->link;
    trail.directories.push_back(trail.target.parent_path());
    at = Entry(at->link);
  }
  if (at == nullptr || trail.directories.empty()) {
    return std::nullopt;
  }
  return trail;
}

std::unique_ptr<Notifier> SimFileSystem::MakeNotifier() {
  return std::make_unique<SimNotifier>(*this);
}

}  // namespace logagent::testing

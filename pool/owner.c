/* SPDX-License-Identifier: MIT */
#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SHIFT 8 /* addresses in a file: 256 */
#define FILE_NAME_SIZE sizeof("owner/ffffff")

static void file_name(uint32_t addr, char name[static FILE_NAME_SIZE])
{
	snprintf(name, FILE_NAME_SIZE, "owner/%06x", addr >> FILE_SHIFT & 0xffffff);
}

static struct flock byte_of(uint32_t addr, short type)
{
	return (struct flock){
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)(addr & ((1U << FILE_SHIFT) - 1)),
		.l_len = 1,
	};
}

void owner_dir_open(int runtime_fd, struct owner_dir *ret)
{
	*ret = (struct owner_dir){ .runtime_fd = runtime_fd, .file_fd = -1 };
}

void owner_dir_close(struct owner_dir *dir)
{
	if (dir->file_fd >= 0)
		close(dir->file_fd);
	*dir = OWNER_DIR_NONE;
}

/* The directory is made when its first file is. */
static int open_file(const struct owner_dir *dir, const char *name)
{
	const int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dir->runtime_fd, name, flags, 0600);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	if (mkdirat(dir->runtime_fd, "owner", 0700) != 0 && errno != EEXIST)
		return -1;
	return openat(dir->runtime_fd, name, flags, 0600);
}

int owner_take(struct owner_dir *dir, uint32_t addr, bool shared, int *ret_fd, struct error *error)
{
	struct flock lock = byte_of(addr, shared ? F_RDLCK : F_WRLCK);
	char name[FILE_NAME_SIZE];
	int fd;

	file_name(addr, name);
	fd = open_file(dir, name);
	if (fd < 0) {
		error_set_errno(error, errno, "cannot open lock file %s in runtime_dir", name);
		return POOL_E_SYSTEM;
	}
	if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
		*ret_fd = fd;
		return 0;
	}
	if (errno == EAGAIN || errno == EACCES) {
		close(fd);
		return POOL_E_REFUSED;
	}
	error_set_errno(error, errno, "cannot lock %s in runtime_dir", name);
	close(fd);
	return POOL_E_SYSTEM;
}

void owner_drop(uint32_t addr, int *fd)
{
	struct flock lock = byte_of(addr, F_UNLCK);

	if (*fd < 0)
		return;
	/* Closing alone would leave the lock with a child that has not closed its copy yet. */
	fcntl(*fd, F_OFD_SETLK, &lock);
	close(*fd);
	*fd = -1;
}

/* -1 with errno set; the descriptor stays open for the next address nearby. */
static int look_into(struct owner_dir *dir, uint32_t addr)
{
	char name[FILE_NAME_SIZE];

	if (dir->file_fd >= 0 && dir->file == addr >> FILE_SHIFT)
		return dir->file_fd;
	if (dir->file_fd >= 0)
		close(dir->file_fd);
	file_name(addr, name);
	dir->file_fd = openat(dir->runtime_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	dir->file = addr >> FILE_SHIFT;
	return dir->file_fd;
}

/* Whether a lock of this type could not be had. */
static bool is_in_the_way(struct owner_dir *dir, uint32_t addr, short type)
{
	struct flock lock = byte_of(addr, type);
	int fd = look_into(dir, addr);

	if (fd < 0)
		return errno != ENOENT;
	if (fcntl(fd, F_OFD_GETLK, &lock) != 0)
		return true;
	return lock.l_type != F_UNLCK;
}

bool owner_is_held(struct owner_dir *dir, uint32_t addr)
{
	return is_in_the_way(dir, addr, F_WRLCK);
}

bool owner_is_live(struct owner_dir *dir, uint32_t addr)
{
	return is_in_the_way(dir, addr, F_RDLCK);
}

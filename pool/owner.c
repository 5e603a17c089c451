/* SPDX-License-Identifier: MIT */
#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define THREADS_MAX 4
#define QUESTIONS_PER_THREAD 4096 /* less is not worth a thread */

void owner_file_name(unsigned int file, char ret_name[static OWNER_FILE_NAME_SIZE])
{
	snprintf(ret_name, OWNER_FILE_NAME_SIZE, "owner/%03x", file & (OWNER_FILES - 1));
}

static struct flock bytes_of(uint32_t first, uint32_t last, short type)
{
	return (struct flock){
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)first,
		.l_len = (off_t)last - (off_t)first + 1,
	};
}

static struct flock byte_of(uint32_t addr, short type)
{
	return bytes_of(addr, addr, type);
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

/* Whatever the umask. Somebody else may be making it too. */
static int make_directory(const struct owner_dir *dir)
{
	if (mkdirat(dir->runtime_fd, "owner", 0700) != 0)
		return errno == EEXIST ? 0 : -1;
	return fchmodat(dir->runtime_fd, "owner", 0700, 0);
}

/* The directory is made when its first file is. */
static int open_file(const struct owner_dir *dir, const char *name)
{
	const int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dir->runtime_fd, name, flags, 0600);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	if (make_directory(dir) != 0)
		return -1;
	return openat(dir->runtime_fd, name, flags, 0600);
}

int owner_take(struct owner_dir *dir, uint32_t addr, bool shared, int *ret_fd, struct error *error)
{
	struct flock lock = byte_of(addr, shared ? F_RDLCK : F_WRLCK);
	char name[OWNER_FILE_NAME_SIZE];
	int fd;

	owner_file_name(owner_file(addr), name);
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

/* -1 with errno set. */
static int open_to_ask(int runtime_fd, unsigned int file)
{
	char name[OWNER_FILE_NAME_SIZE];

	owner_file_name(file, name);
	return openat(runtime_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

/* -1 with errno set; the descriptor stays open for the next address nearby. */
static int look_into(struct owner_dir *dir, uint32_t addr)
{
	unsigned int file = owner_file(addr);

	if (dir->file_fd >= 0 && dir->file == file)
		return dir->file_fd;
	if (dir->file_fd >= 0)
		close(dir->file_fd);
	dir->file_fd = open_to_ask(dir->runtime_fd, file);
	dir->file = file;
	return dir->file_fd;
}

/* Whether a lock of this type could not be had in the file, which -1 and errno say cannot be
 * opened. Nobody has a lock in a file that nobody has made. */
static bool is_in_the_way(int fd, uint32_t addr, short type)
{
	struct flock lock = byte_of(addr, type);

	if (fd < 0)
		return errno != ENOENT;
	if (fcntl(fd, F_OFD_GETLK, &lock) != 0)
		return true;
	return lock.l_type != F_UNLCK;
}

bool owner_is_held(struct owner_dir *dir, uint32_t addr)
{
	return is_in_the_way(look_into(dir, addr), addr, F_WRLCK);
}

bool owner_is_live(struct owner_dir *dir, uint32_t addr)
{
	return is_in_the_way(look_into(dir, addr), addr, F_RDLCK);
}

/* ---- many questions ------------------------------------------------------------------------- */

int owner_add_question(struct owner_questions *questions, uint32_t addr, uint64_t id)
{
	if (questions->n > 0 && questions->list[questions->n - 1].addr > addr)
		return POOL_E_INVALID;
	if (questions->n == questions->room) {
		size_t room = 2 * questions->room + 64;
		void *grown = reallocarray(questions->list, room, sizeof(*questions->list));

		if (grown == NULL)
			return POOL_E_NO_MEMORY;
		questions->list = grown;
		questions->room = room;
	}
	questions->list[questions->n++] = (struct owner_question){ .id = id, .addr = addr };
	return 0;
}

void owner_questions_done(struct owner_questions *questions)
{
	free(questions->list);
	*questions = (struct owner_questions){ 0 };
}

/* Many questions, of which threads take one file's at a time. */
struct asking {
	int runtime_fd;
	struct owner_question *list;
	uint32_t begins[OWNER_FILES + 1]; /* the places of a file's questions, by their `order` */
	atomic_uint next_file;
};

static struct owner_question *question_at(const struct asking *asking, size_t i)
{
	return &asking->list[asking->list[i].order];
}

/* The first of the questions from `begin` to `end` that is about `addr` or an address behind it. */
static size_t lower_bound(const struct asking *asking, size_t begin, size_t end, int64_t addr)
{
	while (begin < end) {
		size_t middle = begin + (end - begin) / 2;

		if (question_at(asking, middle)->addr < addr)
			begin = middle + 1;
		else
			end = middle;
	}
	return begin;
}

static void answer(const struct asking *asking, size_t begin, size_t end, bool live)
{
	for (size_t i = begin; i < end; i++)
		question_at(asking, i)->live = live;
}

/*
 * Answers one file's questions from `begin` to `end`. The kernel is asked for all of their bytes at
 * once. That nobody has locked any settles them all; else it tells of one of the locks, which need
 * not be the first, and what lies on either side of it is still to be asked. So there is a call for
 * each live owner, and one for each row of dead ones.
 */
static void ask_between(const struct asking *asking, int fd, size_t begin, size_t end)
{
	while (begin < end) {
		struct flock lock = bytes_of(question_at(asking, begin)->addr,
					     question_at(asking, end - 1)->addr, F_RDLCK);
		bool known = fcntl(fd, F_OFD_GETLK, &lock) == 0;
		size_t locked, behind;

		if (!known || lock.l_type == F_UNLCK) {
			answer(asking, begin, end, !known);
			return;
		}
		locked = lower_bound(asking, begin, end, lock.l_start);
		behind = lock.l_len == 0 ? end
					 : lower_bound(asking, locked, end,
						       (int64_t)lock.l_start + lock.l_len);
		answer(asking, locked, behind, true);
		/* The shorter side in a call of its own, so that calls are never deep. */
		if (locked - begin < end - behind) {
			ask_between(asking, fd, begin, locked);
			begin = behind;
		} else {
			ask_between(asking, fd, behind, end);
			end = locked;
		}
	}
}

/* Nobody has a lock in a file that nobody has made. */
static void ask_file(const struct asking *asking, unsigned int file)
{
	size_t begin = asking->begins[file];
	size_t end = asking->begins[file + 1];
	int fd;

	if (begin == end)
		return;
	fd = open_to_ask(asking->runtime_fd, file);
	if (fd < 0) {
		answer(asking, begin, end, errno != ENOENT);
		return;
	}
	ask_between(asking, fd, begin, end);
	close(fd);
}

static void *ask_files(void *context)
{
	struct asking *asking = context;
	unsigned int file;

	while ((file = atomic_fetch_add(&asking->next_file, 1)) < OWNER_FILES)
		ask_file(asking, file);
	return NULL;
}

/* Within a file they stay in the order of the list, that of addresses. */
static void sort_by_file(struct asking *asking, size_t n)
{
	uint32_t at[OWNER_FILES];

	for (size_t i = 0; i < n; i++)
		asking->begins[owner_file(asking->list[i].addr) + 1]++;
	for (unsigned int file = 0; file < OWNER_FILES; file++) {
		at[file] = asking->begins[file];
		asking->begins[file + 1] += at[file];
	}
	for (size_t i = 0; i < n; i++)
		asking->list[at[owner_file(asking->list[i].addr)]++].order = (uint32_t)i;
}

void owner_ask(const struct owner_dir *dir, struct owner_questions *questions, unsigned int threads)
{
	struct asking asking = { .runtime_fd = dir->runtime_fd, .list = questions->list };
	size_t deserved = questions->n / QUESTIONS_PER_THREAD;
	pthread_t helpers[THREADS_MAX - 1];
	unsigned int n = 0;

	sort_by_file(&asking, questions->n);
	/* Where no thread can be had, those that are there do it all. */
	while (n + 1 < threads && n < deserved && n < THREADS_MAX - 1 &&
	       pthread_create(&helpers[n], NULL, ask_files, &asking) == 0)
		n++;
	ask_files(&asking);
	while (n > 0)
		pthread_join(helpers[--n], NULL);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory: what the kernel says of it, cgroups to limit it, ways to use it up.
 */
#include "virtgpu.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The number after KEY, which begins a line of a file */
static uint64_t number_after(const char *path, const char *key)
{
	char text[16384], line[64], *p;

	text[0] = '\n';
	must(!try_file_read(path, text + 1, sizeof(text) - 1));
	snprintf(line, sizeof(line), "\n%s", key);
	p = strstr(text, line);
	must(p);
	return strtoull(p + strlen(line), NULL, 10);
}

uint64_t meminfo_kib(const char *name)
{
	char key[48];

	snprintf(key, sizeof(key), "%s:", name);
	return number_after("/proc/meminfo", key);
}

uint64_t shmem_kib(void)
{
	return meminfo_kib("Shmem");
}

uint64_t vmstat_of(const char *name)
{
	char key[48];

	snprintf(key, sizeof(key), "%s ", name);
	return number_after("/proc/vmstat", key);
}

void drop_caches(const char *what)
{
	must(!try_file_write("/proc/sys/vm/drop_caches", what));
}

void *memory_take(uint64_t bytes)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(p != MAP_FAILED);
	for (uint64_t i = 0; i < bytes; i += 4096)
		p[i] = 1;
	return p;
}

void memory_give(void *p, uint64_t bytes)
{
	must(!munmap(p, bytes));
}

static void take_and_leave(void *arg)
{
	/* If somebody must be killed for it, then this one */
	must(!try_file_write("/proc/self/oom_score_adj", "1000"));
	memory_take(*(uint64_t *)arg);
}

bool memory_is_there(uint64_t bytes)
{
	return !client_run(take_and_leave, &bytes);
}

/* The shrinker */

static void debugfs_path(char *path, const char *file)
{
	static char dir[PATH_MAX - 32];
	glob_t g;

	if (!dir[0] && !glob("/sys/kernel/debug/dri/*/bo_cache", GLOB_ONLYDIR,
			     NULL, &g)) {
		snprintf(dir, sizeof(dir), "%s", g.gl_pathv[0]);
		globfree(&g);
	}
	snprintf(path, PATH_MAX, "%s/%s", dir, file);
}

uint64_t shrink_count(void)
{
	char path[PATH_MAX];

	debugfs_path(path, "shrink");
	return number_after(path, "");
}

int try_shrink(const char *text)
{
	char path[PATH_MAX];

	debugfs_path(path, "shrink");
	return try_file_write(path, text);
}

bool cache_holds(uint32_t res)
{
	char path[PATH_MAX], text[65536], *line, *end;

	debugfs_path(path, "entries");
	must(!try_file_read(path, text, sizeof(text)));
	for (line = text; (end = strchr(line, '\n')); line = end + 1) {
		unsigned int number;

		/* tier, age, bytes */
		if (sscanf(line, "%*s %*s %*s %u", &number) == 1 &&
		    number == res)
			return true;
	}
	return false;
}

void shrink(uint64_t pages)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)pages);
	must(!try_shrink(text));
}

void shrink_all(void)
{
	shrink(shrink_count());
	wait_until(!held_bos() && !stat_of("release_bos"));
}

/* Groups */

static void group_path(char *path, const char *group, const char *file)
{
	snprintf(path, PATH_MAX, "/sys/fs/cgroup/%s/%s", group, file);
}

int try_group_write(const char *group, const char *file, const char *text)
{
	char path[PATH_MAX];

	group_path(path, group, file);
	return try_file_write(path, text);
}

/* The parent's groups may have memory limits, if it has any groups at all */
static void let_limit_memory(const char *group)
{
	char parent[128], *end;

	snprintf(parent, sizeof(parent), "./%s", group);
	end = strrchr(parent, '/');
	*end = 0;
	must(!try_group_write(parent, "cgroup.subtree_control", "+memory"));
}

void group_make(const char *group, uint64_t max)
{
	char path[PATH_MAX], text[32] = "max";

	let_limit_memory(group);
	group_path(path, group, "");
	must(!mkdir(path, 0755));
	if (max)
		snprintf(text, sizeof(text), "%llu", (unsigned long long)max);
	must(!try_group_write(group, "memory.max", text));
}

void group_enter(const char *group)
{
	must(!try_group_write(group, "cgroup.procs", "0"));
}

/* Who was in it may have ended only just now */
void group_remove(const char *group)
{
	char path[PATH_MAX];

	group_path(path, group, "");
	wait_until(!rmdir(path) || errno != EBUSY);
	must(access(path, F_OK));
}

uint64_t group_stat(const char *group, const char *file, const char *key)
{
	char path[PATH_MAX], line[64];

	group_path(path, group, file);
	snprintf(line, sizeof(line), "%s ", key);
	return number_after(path, *key ? line : "");
}

uint64_t group_read(const char *group, const char *file)
{
	return group_stat(group, file, "");
}

static char own_group[64];

void group_enter_own(void)
{
	group_enter(own_group);
}

int fresh_group(void **state)
{
	static int n;

	snprintf(own_group, sizeof(own_group), "bo-cache-%d-%d", getpid(),
		 n++);
	group_make(own_group, 0);
	group_enter_own();
	return fresh_cache(state);
}

/* One that still has a process in it is left for the guest's end */
int leave_group(void **state)
{
	char path[PATH_MAX];

	(void)state;
	group_enter(".");
	group_path(path, own_group, "");
	rmdir(path);
	return 0;
}

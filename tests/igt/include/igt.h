/* SPDX-License-Identifier: MIT */
/*
 * What the tests here use of IGT's interface, where IGT is installed without
 * its headers: the functions that libigt.so.0 exports, and the blocks that are
 * written with them.  In an IGT tree lib/igt.h takes its place.
 *
 * tests/igt/check compares it with the library.
 */
#ifndef IGT_H
#define IGT_H

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <drm.h>
#include <drm_fourcc.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define igt_printf_like(text, args) \
	__attribute__((format(printf, text, args)))

/* Blocks: each is left by a jump when something in it fails or is skipped */
extern jmp_buf igt_subtest_jmpbuf, igt_dynamic_jmpbuf;

bool __igt_fixture(void);
void __igt_fixture_complete(void);
bool __igt_run_subtest(const char *name, const char *file, const int line);
bool __igt_enter_dynamic_container(void);
bool __igt_run_dynamic_subtest(const char *name);
void igt_success(void);
igt_printf_like(1, 2) void igt_describe_f(const char *format, ...);
int igt_subtest_init_parse_opts(int *argc, char **argv,
				const char *short_options,
				const struct option *long_options,
				const char *help,
				int (*handler)(int, int, void *), void *data);
__attribute__((noreturn)) void igt_exit(void);

#define IGT_TEST_DESCRIPTION(text) const char *__igt_test_description = text

#define igt_main()						\
	main(int argc, char **argv);				\
	static void igt_body(void);				\
	int main(int argc, char **argv)				\
	{							\
		igt_subtest_init_parse_opts(&argc, argv, NULL,	\
					    NULL, NULL, NULL,	\
					    NULL);		\
		igt_body();					\
		igt_exit();					\
	}							\
	static void igt_body(void)

#define igt_fixture()						\
	for (volatile bool done_ = false;			\
	     !done_ && __igt_fixture() &&			\
	     !sigsetjmp(igt_subtest_jmpbuf, 1);			\
	     done_ = true, __igt_fixture_complete())

#define igt_describe(text) igt_describe_f("%s", text)

#define igt_subtest(name)					\
	for (; __igt_run_subtest(name, __FILE__, __LINE__) &&	\
	       !sigsetjmp(igt_subtest_jmpbuf, 1); igt_success())

#define igt_subtest_with_dynamic(name)				\
	for (; __igt_run_subtest(name, __FILE__, __LINE__) &&	\
	       __igt_enter_dynamic_container() &&		\
	       !sigsetjmp(igt_subtest_jmpbuf, 1); igt_success())

#define igt_dynamic(name)					\
	for (; __igt_run_dynamic_subtest(name) &&		\
	       !sigsetjmp(igt_dynamic_jmpbuf, 1); igt_success())

/* Verdicts */
__attribute__((noreturn)) igt_printf_like(6, 7)
void __igt_fail_assert(const char *domain, const char *file, const int line,
		       const char *func, const char *assertion,
		       const char *format, ...);
__attribute__((noreturn)) igt_printf_like(5, 6)
void __igt_skip_check(const char *file, const int line, const char *func,
		      const char *check, const char *format, ...);

#define igt_assert_f(expr, ...)						\
	do {								\
		if (!(expr))						\
			__igt_fail_assert(NULL, __FILE__, __LINE__,	\
					  __func__, #expr,		\
					  __VA_ARGS__);			\
	} while (0)
#define igt_assert(expr) igt_assert_f(expr, NULL)

/* As int, uint32_t and uint64_t */
#define igt_assert_cmp_(type, fmt, a, op, b)				\
	do {								\
		type a_ = (a), b_ = (b);				\
									\
		if (!(a_ op b_))					\
			__igt_fail_assert(NULL, __FILE__, __LINE__,	\
					  __func__, #a " " #op " " #b,	\
					  fmt " and " fmt "\n",		\
					  a_, b_);			\
	} while (0)
#define igt_assert_eq(a, b) igt_assert_cmp_(int, "%d", a, ==, b)
#define igt_assert_eq_u32(a, b) igt_assert_cmp_(uint32_t, "%#x", a, ==, b)
#define igt_assert_neq_u32(a, b) igt_assert_cmp_(uint32_t, "%#x", a, !=, b)
#define igt_assert_eq_u64(a, b)						\
	igt_assert_cmp_(unsigned long long, "%#llx", a, ==, b)
#define igt_assert_lte_u64(a, b)					\
	igt_assert_cmp_(unsigned long long, "%#llx", a, <=, b)
#define igt_assert_lt_u64(a, b)						\
	igt_assert_cmp_(unsigned long long, "%#llx", a, <, b)

#define igt_require_f(expr, ...)					\
	do {								\
		if (!(expr))						\
			__igt_skip_check(__FILE__, __LINE__, __func__,	\
					 #expr, __VA_ARGS__);		\
	} while (0)

/* Saying something */
enum igt_log_level { IGT_LOG_DEBUG, IGT_LOG_INFO, IGT_LOG_WARN };
igt_printf_like(3, 4)
void igt_log(const char *domain, enum igt_log_level level,
	     const char *format, ...);

#define igt_info(...) igt_log(NULL, IGT_LOG_INFO, __VA_ARGS__)

/* Time and processes */
uint64_t igt_nsec_elapsed(struct timespec *start);
void igt_install_exit_handler(void (*handler)(int signal));

/* Whether COND came true within MS, looked at every INTERVAL_MS */
#define igt_wait(cond, ms, interval_ms) ({				\
	struct timespec start_ = { 0 };					\
	bool true_;							\
									\
	igt_nsec_elapsed(&start_);					\
	while (!(true_ = (cond)) &&					\
	       igt_nsec_elapsed(&start_) / 1000000 < (ms))		\
		usleep((interval_ms) * 1000);				\
	true_;								\
})

bool __igt_fork(void);
void igt_waitchildren(void);

#define igt_fork(child, count)						\
	for (int child = 0; child < (count); child++)			\
		for (; __igt_fork(); exit(0))

struct igt_helper_process {
	bool running, use_SIGKILL;
	pid_t pid;
	int id;
};
bool __igt_fork_helper(struct igt_helper_process *helper);
void igt_stop_helper(struct igt_helper_process *helper);

#define igt_fork_helper(helper) \
	for (; __igt_fork_helper(helper); exit(0))

/* DRM devices */
#define DRIVER_VIRTIO (1 << 10)
int drm_open_driver(int chipset);
int drm_reopen_driver(int fd);
int drm_close_driver(int fd);

extern __thread int (*igt_ioctl)(int fd, unsigned long request, void *arg);

#define do_ioctl(fd, request, arg) \
	igt_assert_eq(igt_ioctl(fd, request, arg), 0)
#define do_ioctl_err(fd, request, arg, err)				\
	do {								\
		igt_assert_eq(igt_ioctl(fd, request, arg), -1);		\
		igt_assert_eq(errno, err);				\
	} while (0)

void gem_close(int fd, uint32_t handle);
uint32_t gem_flink(int fd, uint32_t handle);
uint32_t gem_open(int fd, uint32_t name);
int prime_handle_to_fd(int fd, uint32_t handle);
uint32_t prime_fd_to_handle(int fd, int dmabuf);

static inline uint64_t to_user_pointer(const void *pointer)
{
	return (uintptr_t)pointer;
}

/* Their files in sysfs */
int igt_sysfs_open(int fd);
int igt_sysfs_write(int dir, const char *name, const void *data, int len);
uint64_t igt_sysfs_get_u64(int dir, const char *name);
bool __igt_sysfs_set_u64(int dir, const char *name, uint64_t value);
void igt_sysfs_set_u64(int dir, const char *name, uint64_t value);
void bind_fbcon(bool bind);

#endif

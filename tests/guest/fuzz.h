/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fuzzer's parts: fuzz.c has options, processes and tests, fuzz_model.c
 * knows what every BO must contain, the others do things to BOs and tell the
 * model; fuzz_ops.c has the list of them.
 *
 * A worker is a process of its own and does one operation after the other, so
 * its model is exact.  What workers share is frozen first: all know its
 * content, nobody writes to it.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "virtgpu.h"

#include <stdio.h>

#define WORKERS 8			/* at most; more come and get killed */
#define FILES 3
#define OBJECTS 24
#define HANDLES 48
#define MAPPINGS 24
#define FRAMEBUFFERS 6
#define STALE 8

#define BAD_HANDLE 0x7ead0000		/* no file has that many */

enum { FAULTS_CLIENTS = 1, FAULTS_WORKS = 2 };

struct options {
	uint64_t seed;
	uint64_t ops;			/* of each worker; 0: no limit */
	unsigned int seconds;
	unsigned int workers;
	unsigned int faults;
	bool no_knobs, verbose, self_test;
};

extern struct options options;

/* What there is to fuzz */
struct device {
	char card_path[32], render_path[32];
	bool virgl, blob, cache, context_init, madvise;
	bool draws;			/* the host does what streams say */
	uint32_t capsets;
};

extern struct device device;

/* What all processes see */
struct shared {
	volatile bool stop;
	uint64_t operations;
	uint64_t refused;		/* by the driver, as it should */
	uint64_t starved;		/* for want of memory */
	uint64_t wrong, mismatches;
	uint32_t live[65536];		/* resource numbers of live BOs */
};

extern struct shared *shared;

struct file {
	int fd;				/* -1: none */
	bool card;
	bool haunted;			/* has handles we know nothing of */
	uint16_t owner;			/* what its BOs are tagged with */
	uint32_t surfaces;
};

enum kind { BUFFER, TEXTURE, DUMB, BLOB, ODD };

/* A BO: what is in it, whoever refers to it */
struct object {
	enum kind kind;
	uint32_t res;			/* 0: the slot is free */
	uint32_t bind, format;
	uint64_t size;
	uint32_t width, height;		/* host copy, in words; 0: none */
	uint16_t owner;
	uint32_t serial;
	bool frozen;			/* others know the content too */
	bool loose;			/* the host writes when it likes */
	bool known_to_others;		/* or was; then it is always needed */
	bool unneeded;			/* MADVISE said so: nobody may use it */
	bool pending_to, pending_from;	/* perhaps with the host */
	uint32_t *guest;		/* what must be in its pages, */
	uint32_t *host;			/* in the host's copy, ... */
	bool *known;			/* ... where that is known */
	int dmabuf;			/* -1: none */
};

struct handle {
	struct file *file;		/* NULL: the slot is free */
	uint32_t handle;
	bool attached;			/* to the file's host context */
	struct object *object;
};

struct mapping {
	uint32_t *words;		/* NULL: the slot is free */
	uint64_t size;			/* perhaps not all of the BO */
	bool writable;
	struct object *object;
};

struct framebuffer {
	struct file *file;		/* NULL: the slot is free */
	uint32_t id;
	struct object *object;
};

/* Where a BO was mapped in a file that has closed its handle */
struct stale {
	uint64_t offset, size;		/* 0: the slot is free */
	struct file *file;
};

struct worker {
	unsigned int id;
	uint64_t stream, random;	/* the worker's, the operation's */
	uint64_t op;
	const char *doing;
	int make_it_fail;		/* -1: nothing does */
	int inbox, *outbox;		/* to get and give dma-bufs */
	uint16_t files;			/* opened so far */
	uint32_t serial;
	struct file file[FILES];
	struct object object[OBJECTS];
	struct handle handle[HANDLES];
	struct mapping mapping[MAPPINGS];
	struct framebuffer framebuffer[FRAMEBUFFERS];
	struct stale stale[STALE];
};

extern struct worker me;

/* One kind of thing to do */
struct operation {
	const char *name;
	unsigned int weight;
	void (*act)(void);
};

extern const struct operation operations[];
extern const size_t nr_operations;

/* Random numbers: a function of seed, worker and operation */
uint64_t mix(uint64_t a, uint64_t b);
uint32_t rnd(uint32_t n);			/* below N */
bool one_in(uint32_t n);
#define one_of(array) ((array)[rnd(ARRAY_SIZE(array))])

/* What is found wrong ends the run */
void wrong(const char *format, ...)
	__attribute__((noreturn, format(printf, 1, 2)));

/* Details for --verbose */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * System calls: those of the thing that is tested may fail if memory is made
 * short, those by which the model looks at it may not. All return -errno.
 */
int call(int fd, unsigned long request, void *arg);
int plain_call(int fd, unsigned long request, void *arg);
void fault_window(bool open);
/* True if it worked; false if there was no memory; else it's wrong */
bool fine(int err);
bool fine_or(int err, int if_starved);
/* It had to be refused with one of these */
void refused(int err, int with, int or_with);

/* Files */
void open_file(struct file *f);
void close_file(struct file *f);
struct file *any_file(void);
struct file *any_card(void);			/* NULL: none is open */
int open_again(const char *path);

/* Handles, picked at random of those that fit; NULL: none does */
typedef bool (*fits_fn)(const struct handle *);
struct handle *any_handle(fits_fn fits);
bool has_any(const struct handle *h);		/* that is needed */
bool has_host(const struct handle *h);		/* a copy there */
bool is_writable(const struct handle *h);	/* and has a host copy */
bool is_on_card(const struct handle *h);
struct object *any_object(void);
bool is_viewable(const struct object *o);

/* The model */
void make_room(void);				/* for one more BO */
void born(struct file *f, uint32_t handle, uint32_t res, uint64_t asked,
	  struct object like);
struct object *find_object(uint32_t res);
struct handle *got_handle(struct file *f, uint32_t handle, struct object *o);
void close_handle(struct handle *h);
void lost_handle(struct handle *h);		/* closed by other means */
struct mapping *add_mapping(uint32_t *words, uint64_t size, bool writable,
			    struct object *o);
void unmap(struct mapping *m);
void drop_dmabuf(struct object *o);
void drop_framebuffer(struct framebuffer *fb);
void drop_all(void);
void abandon(struct object *o);			/* something of it goes */
void renewed(struct object *o);			/* it is as if new */
void forget_if_dead(struct object *o);

void settle(struct object *o);			/* nothing with the host */
bool looks_like(const struct object *o, const uint32_t *words, size_t n);
void check(struct object *o);
void check_all(void);
void corrupt_model(void);

/* A box of words in both copies, and the memory of it */
struct box {
	uint32_t x, y, w, h;
};

struct box any_box(const struct object *o);
struct box whole_box(const struct object *o);
void wrote_to_host(struct object *o, struct box box);
void read_from_host(struct object *o, struct box box);
void copied(struct object *dst, struct object *src, struct box box);
void cleared(struct object *o, uint32_t word);

/* Content: every other word says whose it is */
uint32_t tagged(uint16_t owner, uint64_t salt, size_t i);
bool is_foreign(uint32_t word, uint16_t owner);
void fill(struct object *o, size_t first, size_t n, uint64_t salt);
void assert_zero(const uint32_t *words, size_t n, const char *of_what);

/* A look at all of a BO */
struct view {
	uint32_t *words;
	bool writable, temporary;
};

struct view view_open(struct object *o);
void view_close(struct object *o, struct view view);

/* Bits for more than one of them */
uint32_t any_bytes(void);
void *try_mmap(uint64_t size, int prot, int flags, int fd, uint64_t offset,
	       int *err);
struct drm_virtgpu_3d_box scaled(const struct object *o, struct box box);

/* The operations */

/* fuzz_create.c */
void create_buffer(void);
void create_texture(void);
void create_odd(void);
void create_dumb(void);
void create_blob(void);
void create_host_blob(void);
void refuse_create(void);
void refuse_blob(void);
void burst(void);

/* fuzz_bo.c */
void map(void);
void unmap_one(void);
void refuse_map(void);
void map_stale(void);
void write_some(void);
void check_one(void);
void to_host(void);
void from_host(void);
void refuse_transfer(void);
void wait_for(void);
void close_one(void);
void close_twice(void);
void reopen(void);
void open_and_close(void);

/* fuzz_exec.c */
bool host_draws(void);
void exec_nop(void);
void exec_copy(void);
void exec_clear(void);
void exec_refused(void);
void exec_fences(void);
void exec_syncobjs(void);
void exec_garbage(void);

/* fuzz_need.c */
void dontneed(void);
void willneed(void);
void use_unneeded(void);
void refuse_madvise(void);

/* fuzz_share.c */
void flink(void);
void refuse_open(void);
void export_one(void);
void import_one(void);
void refuse_prime(void);
void map_dmabuf(void);
void give(void);
void take(void);
void fork_one(void);
void race_to_close(void);
void race_to_export(void);

#endif

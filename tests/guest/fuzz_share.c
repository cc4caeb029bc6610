// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How the fuzzer shares BOs: by name and by dma-buf, between files, between
 * workers and with children, some of which are killed.
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xf86drm.h>

/* Sharing, in one process */

void flink(void)
{
	struct handle *h = any_handle(is_on_card);
	struct file *f = any_card(), *other = any_file();
	struct drm_gem_flink name = { .handle = BAD_HANDLE };
	struct drm_gem_open arg = { 0 };
	struct object *o;

	if (!h) {
		refused(call(other->fd, DRM_IOCTL_GEM_FLINK, &name),
			other->card ? ENOENT : EACCES, 0);
		return;
	}
	make_room();
	if (!h->file)
		return;
	o = h->object;
	name.handle = h->handle;
	o->known_to_others = true;
	if (!fine(call(h->file->fd, DRM_IOCTL_GEM_FLINK, &name)))
		return;
	arg.name = name.name;
	if (!other->card) {
		refused(call(other->fd, DRM_IOCTL_GEM_OPEN, &arg), EACCES, 0);
		return;
	}
	if (!fine(call(f->fd, DRM_IOCTL_GEM_OPEN, &arg)))
		return;
	if (arg.size != o->size)
		wrong("opened by name, it has %llu bytes, not %llu",
		      (unsigned long long)arg.size,
		      (unsigned long long)o->size);
	got_handle(f, arg.handle, o);
}

void refuse_open(void)
{
	struct drm_gem_open arg = { .name = 0x7fffff00 + rnd(100) };
	struct file *f = any_file();

	refused(call(f->fd, DRM_IOCTL_GEM_OPEN, &arg),
		f->card ? ENOENT : EACCES, 0);
}

static int export(struct handle *h)
{
	struct drm_prime_handle arg = {
		.handle = h->handle, .flags = DRM_CLOEXEC | DRM_RDWR, .fd = -1
	};

	h->object->known_to_others = true;
	if (!fine(call(h->file->fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &arg)))
		return -1;
	return arg.fd;
}

void export_one(void)
{
	struct handle *h = any_handle(has_any);

	if (!h)
		return;
	if (h->object->dmabuf < 0)
		h->object->dmabuf = export(h);
	else
		drop_dmabuf(h->object);
}

void refuse_prime(void)
{
	struct drm_prime_handle arg = { .handle = BAD_HANDLE, .fd = -1 };
	struct file *f = any_file();
	struct handle *h = any_handle(has_any);
	unsigned long request = DRM_IOCTL_PRIME_HANDLE_TO_FD;
	int error = ENOENT;

	switch (rnd(4)) {
	case 0:
		arg.handle = h ? h->handle : 1;
		f = h ? h->file : f;
		arg.flags = 4u << rnd(19);	/* O_CLOEXEC is 1 << 19 */
		if (arg.flags & (DRM_CLOEXEC | DRM_RDWR))
			return;
		error = EINVAL;
		break;
	case 1:
		request = DRM_IOCTL_PRIME_FD_TO_HANDLE;
		error = EBADF;
		break;
	case 2:
		request = DRM_IOCTL_PRIME_FD_TO_HANDLE;
		arg.fd = f->fd;			/* no dma-buf */
		error = EINVAL;
		break;
	}
	refused(call(f->fd, request, &arg), error, 0);
}

static struct object *any_exported(void)
{
	unsigned int first = rnd(OBJECTS);

	for (int i = 0; i < OBJECTS; i++) {
		struct object *o = &me.object[(first + i) % OBJECTS];

		if (o->res && o->dmabuf >= 0)
			return o;
	}
	return NULL;
}

static struct handle *import_into(struct file *f, struct object *o)
{
	struct drm_prime_handle arg = { .fd = o->dmabuf };

	if (!fine(call(f->fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &arg)))
		return NULL;
	return got_handle(f, arg.handle, o);
}

void import_one(void)
{
	struct object *o;

	make_room();
	o = any_exported();
	if (o)
		import_into(any_file(), o);
}

void map_dmabuf(void)
{
	struct object *o = any_exported();
	uint64_t size;
	void *p;
	int err;

	if (!o)
		return;
	size = 4096 * (1 + rnd(o->size / 4096));
	if (one_in(4)) {
		try_mmap(o->size + 4096, PROT_READ, MAP_SHARED, o->dmabuf, 0,
			 &err);
		refused(err, EINVAL, 0);
		return;
	}
	p = try_mmap(size, PROT_READ | PROT_WRITE, MAP_SHARED, o->dmabuf, 0,
		     &err);
	if (fine(err))
		add_mapping(p, size, true, o);
}

/*
 * Sharing with other workers: what is given away is frozen, its content a
 * function of what goes with it.
 */
struct parcel {
	struct object object;		/* without its pointers */
	uint64_t salt;
};

static bool is_givable(const struct handle *h)
{
	return !h->object->frozen && !h->object->loose &&
	       (h->object->kind == BLOB || has_host(h)) &&
	       (h->object->dmabuf >= 0 || one_in(2));
}

/* Both copies alike, so that transfers change nothing */
static bool freeze(struct handle *h, uint64_t salt)
{
	struct object *o = h->object;
	struct drm_virtgpu_3d_transfer_to_host arg = { .bo_handle = h->handle };
	struct view view;

	settle(o);
	fill(o, 0, o->size / 4, salt);
	view = view_open(o);
	memcpy(view.words, o->guest, o->size);
	view_close(o, view);
	if (o->width) {
		arg.box = scaled(o, whole_box(o));
		if (!fine_or(call(h->file->fd,
				  DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST, &arg),
			     ENOENT))
			return false;
		wrote_to_host(o, whole_box(o));
		settle(o);
	}
	o->frozen = true;
	return true;
}

static void post(const struct parcel *parcel, int dmabuf, int to)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec data = { (void *)parcel, sizeof(*parcel) };
	struct msghdr msg = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &dmabuf, sizeof(int));
	/* A full box, or one that nobody empties any more, is fine */
	sendmsg(to, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void give(void)
{
	struct handle *h = me.inbox >= 0 ? any_handle(is_givable) : NULL;
	struct parcel parcel = { .salt = mix(me.id, me.op) };
	struct object *o;

	if (!h)
		return;
	o = h->object;
	if (o->dmabuf < 0)
		o->dmabuf = export(h);
	if (o->dmabuf < 0 || !freeze(h, parcel.salt))
		return;
	parcel.object = *o;
	post(&parcel, o->dmabuf, me.outbox[rnd(options.workers)]);
	if (one_in(2))
		drop_dmabuf(o);
}

static bool unpack(struct parcel *parcel, int *dmabuf)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec data = { parcel, sizeof(*parcel) };
	struct msghdr msg = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;

	if (recvmsg(me.inbox, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) !=
	    sizeof(*parcel))
		return false;
	c = CMSG_FIRSTHDR(&msg);
	must(c && c->cmsg_type == SCM_RIGHTS);
	memcpy(dmabuf, CMSG_DATA(c), sizeof(int));
	return true;
}

static struct object *adopt(const struct parcel *parcel)
{
	for (int i = 0; i < OBJECTS; i++) {
		struct object *o = &me.object[i];

		if (o->res)
			continue;
		*o = parcel->object;
		o->guest = malloc(o->size);
		must(o->guest);
		fill(o, 0, o->size / 4, parcel->salt);
		o->host = NULL;
		o->known = NULL;
		if (o->width) {
			o->host = malloc(o->size);
			o->known = malloc(o->size / 4);
			must(o->host && o->known);
			memcpy(o->host, o->guest, o->size);
			memset(o->known, true, o->size / 4);
		}
		o->pending_to = o->pending_from = false;
		o->dmabuf = -1;
		return o;
	}
	wrong("(the fuzzer) no room for a parcel");
}

void take(void)
{
	struct parcel parcel;
	struct object *o;
	int dmabuf;

	make_room();
	if (me.inbox < 0 || !unpack(&parcel, &dmabuf))
		return;
	o = find_object(parcel.object.res);
	if (!o)
		o = adopt(&parcel);
	if (o->dmabuf >= 0)
		must(!close(dmabuf));
	else
		o->dmabuf = dmabuf;
	import_into(any_file(), o);
	check(o);
	if (one_in(2))
		drop_dmabuf(o);
}

/* Other processes with the same files */

static pid_t start_child(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	must(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	me.make_it_fail = -1;			/* that was the parent's */
	return 0;
}

/* Returns its exit status, or -1 if it was killed */
static int end_child(pid_t pid)
{
	int status;

	must(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void compare_mappings(void)
{
	for (int i = 0; i < MAPPINGS; i++) {
		struct mapping *m = &me.mapping[i];

		if (m->words && !m->object->unneeded &&
		    !looks_like(m->object, m->words, m->size / 4))
			wrong("a child sees something else in resource %u",
			      m->object->res);
	}
}

/* It may be killed anywhere in here */
static void be_child(struct file *f)
{
	for (int i = 0; i < 8; i++) {
		struct bo bo;

		bo = device.virgl ? bo_create(f->fd, buffer(any_bytes())) :
				bo_create(f->fd, texture(32, 32, 0));
		bo_map(&bo);
		assert_zero(bo.map, bo.size / 4, "a child's new BO");
		for (size_t n = 0; n < bo.size / 4; n++)
			bo.map[n] = tagged(f->owner, i, n);
		if (i & 1)
			bo_close(&bo);
	}
	compare_mappings();
	_exit(0);
}

void fork_one(void)
{
	struct file *f = any_file();
	bool killed = one_in(2);
	uint32_t when = rnd(30000);
	pid_t pid;

	for (int i = 0; i < OBJECTS; i++)
		if (me.object[i].res)
			settle(&me.object[i]);
	f->haunted = true;
	pid = start_child();
	if (!pid)
		be_child(f);
	if (killed) {
		usleep(when);
		kill(pid, SIGKILL);
	}
	if (end_child(pid) > 0)
		wrong("(in a child)");
}

/* Two close one handle: one of them has it */
void race_to_close(void)
{
	struct handle *h = any_handle(has_any);
	struct drm_gem_close arg = { 0 };
	int both[2], mine, theirs;
	char byte = 0;
	pid_t pid;

	if (!h)
		return;
	abandon(h->object);
	arg.handle = h->handle;
	must(!pipe(both));
	pid = start_child();
	if (!pid) {
		must(read(both[0], &byte, 1) == 1);
		_exit(-plain_call(h->file->fd, DRM_IOCTL_GEM_CLOSE, &arg));
	}
	must(write(both[1], &byte, 1) == 1);
	mine = plain_call(h->file->fd, DRM_IOCTL_GEM_CLOSE, &arg);
	theirs = -end_child(pid);
	close(both[0]);
	close(both[1]);
	if (!(mine == 0 && theirs == -EINVAL) &&
	    !(mine == -EINVAL && theirs == 0))
		wrong("closed by two: %d and %d", mine, theirs);
	lost_handle(h);
}

/* What could be exported while it was being closed, has its content */
static void be_exporter(const struct handle *h)
{
	struct drm_prime_handle arg = {
		.handle = h->handle, .flags = DRM_CLOEXEC | DRM_RDWR
	};
	int err = plain_call(h->file->fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &arg);
	void *p;

	if (err == -ENOENT)
		_exit(0);
	if (err)
		wrong("(in a child) export: %s", strerror(-err));
	p = mmap(NULL, h->object->size, PROT_READ, MAP_SHARED, arg.fd, 0);
	if (p == MAP_FAILED)
		wrong("(in a child) mmap: %s", strerror(errno));
	if (!looks_like(h->object, p, h->object->size / 4))
		wrong("what a child exported has another content");
	_exit(0);
}

void race_to_export(void)
{
	struct handle *h = any_handle(has_any);
	struct drm_gem_close arg = { 0 };
	char byte = 0;
	int both[2];
	pid_t pid;

	if (!h)
		return;
	settle(h->object);
	abandon(h->object);
	arg.handle = h->handle;
	must(!pipe(both));
	pid = start_child();
	if (!pid) {
		must(read(both[0], &byte, 1) == 1);
		be_exporter(h);
	}
	must(write(both[1], &byte, 1) == 1);
	usleep(rnd(200));
	must(!plain_call(h->file->fd, DRM_IOCTL_GEM_CLOSE, &arg));
	if (end_child(pid))
		wrong("(in a child)");
	close(both[0]);
	close(both[1]);
	lost_handle(h);
}

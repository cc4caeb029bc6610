// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Whether the simulated host sees what a driver must not do: a model of its own is
 * given commands that break one rule each, and says how many it found broken.
 */

#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/seq_file.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>

#include "virtgpu_host.h"

#define SIDE 32				/* a page of pixels */
#define FILLING 0x5a
#define STEPS 12
#define REFUSED BIT(31)

/* What is done instead of giving a command; commands are their type. */
enum host_deed {
	READY = 1,			/* a resource with its page in a context */
	CHECK,				/* what it does from time to time */
	TRUNCATE,			/* the page leaves its file */
	BARE,				/* from here on it is no file's */
	UNPIN,
	FILL,				/* the page's content */
	CLEAR,
	IS_FILLED,
	IS_CLEAR,
};

#define CREATE_3D VIRTIO_GPU_CMD_RESOURCE_CREATE_3D
#define CREATE_2D VIRTIO_GPU_CMD_RESOURCE_CREATE_2D
#define CREATE_BLOB VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB
#define UNREF VIRTIO_GPU_CMD_RESOURCE_UNREF
#define ATTACH VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING
#define DETACH VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING
#define CTX_CREATE VIRTIO_GPU_CMD_CTX_CREATE
#define CTX_DESTROY VIRTIO_GPU_CMD_CTX_DESTROY
#define CTX_ATTACH VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE
#define CTX_DETACH VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE
#define TO_HOST VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D
#define FROM_HOST VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D
#define SUBMIT VIRTIO_GPU_CMD_SUBMIT_3D
#define FLUSH VIRTIO_GPU_CMD_RESOURCE_FLUSH
#define SCANOUT VIRTIO_GPU_CMD_SET_SCANOUT

struct host_step {
	u32 what;
	u32 res, ctx;
};

static const struct host_case {
	const char *name;
	unsigned long violations;
	struct host_step step[STEPS];
} host_cases[] = {
	{ "a life", 0, {
		{ READY, 1, 1 }, { SUBMIT, 0, 1 }, { TO_HOST, 1, 1 },
		{ FROM_HOST, 1, 1 }, { CTX_DETACH, 1, 1 }, { UNREF, 1 },
		{ CTX_DESTROY, 0, 1 } } },
	{ "a blob's life", 0, {
		{ CREATE_BLOB, 1 }, { FLUSH, 1 }, { CHECK }, { UNREF, 1 } } },
	{ "a 2D life", 0, {
		{ CREATE_2D, 1 }, { ATTACH, 1 }, { SCANOUT, 1 }, { FLUSH, 1 },
		{ SCANOUT, 0 }, { DETACH, 1 }, { UNREF, 1 } } },
	{ "content comes back", 0, {
		{ READY, 1, 1 }, { FILL }, { TO_HOST, 1, 1 }, { CLEAR },
		{ FROM_HOST, 1, 1 }, { IS_FILLED } } },
	{ "what is new is zero", 0, {
		{ READY, 1, 1 }, { FILL }, { FROM_HOST, 1, 1 }, { IS_CLEAR } } },
	{ "created twice", 1, { { CREATE_3D, 1 }, { CREATE_3D, 1 } } },
	{ "no number", 1, { { CREATE_3D, 0 } } },
	{ "released twice", 1, {
		{ CREATE_3D, 1 }, { UNREF, 1 }, { UNREF, 1 } } },
	{ "never created", 1, { { ATTACH, 1 } } },
	{ "used after its release", 1, {
		{ READY, 1, 1 }, { UNREF, 1 }, { TO_HOST, 1, 1 } } },
	{ "backing twice", 1, {
		{ CREATE_3D, 1 }, { ATTACH, 1 }, { ATTACH, 1 } } },
	{ "in a context without backing", 1, {
		{ CTX_CREATE, 0, 1 }, { CREATE_3D, 1 },
		{ CTX_ATTACH, 1, 1 } } },
	{ "shown without backing", 1, { { CREATE_2D, 1 }, { SCANOUT, 1 } } },
	{ "transfer after its backing is gone", 1, {
		{ READY, 1, 1 }, { DETACH, 1 }, { TO_HOST, 1, 1 } } },
	{ "transfer in another context", 1, {
		{ READY, 1, 1 }, { CTX_CREATE, 0, 2 }, { TO_HOST, 1, 2 } } },
	{ "transfer in a context that it left", 1, {
		{ READY, 1, 1 }, { CTX_DETACH, 1, 1 }, { FROM_HOST, 1, 1 } } },
	{ "attached twice, left once", 0, {
		{ READY, 1, 1 }, { CTX_ATTACH, 1, 1 }, { CTX_DETACH, 1, 1 },
		{ TO_HOST, 1, 1 } } },
	{ "no context", 1, { { SUBMIT, 0, 1 } } },
	{ "context created twice", 1, {
		{ CTX_CREATE, 0, 1 }, { CTX_CREATE, 0, 1 } } },
	{ "context used after its end", 1, {
		{ READY, 1, 1 }, { CTX_DESTROY, 0, 1 }, { CTX_DETACH, 1, 1 } } },
	{ "context destroyed twice", 1, {
		{ CTX_CREATE, 0, 1 }, { CTX_DESTROY, 0, 1 },
		{ CTX_DESTROY, 0, 1 } } },
	{ "page gone, found by a look at it", 1, {
		{ READY, 1, 1 }, { TRUNCATE }, { CHECK }, { SUBMIT, 0, 1 },
		{ CHECK }, { SUBMIT, 0, 1 } } },
	{ "page gone, found at the release", 1, {
		{ READY, 1, 1 }, { TRUNCATE }, { UNREF, 1 } } },
	{ "page gone, and no command since", 0, {
		{ READY, 1, 1 }, { TRUNCATE }, { CHECK } } },
	{ "page unpinned", 1, {
		{ BARE }, { READY, 1, 1 }, { UNPIN }, { CHECK }, { SUBMIT, 0, 1 } } },
	{ "page gone after the release", 0, {
		{ READY, 1, 1 }, { UNREF, 1 }, { TRUNCATE }, { SUBMIT, 0, 1 } } },
	{ "page of two resources", 1, {
		{ READY, 1, 1 }, { CREATE_3D, 2 }, { ATTACH, 2 } } },
	{ "page of one, then of another", 0, {
		{ READY, 1, 1 }, { UNREF, 1 }, { CREATE_3D, 2 }, { ATTACH, 2 } } },
	{ "page passed on with its content", 1, {
		{ READY, 1, 1 }, { FILL }, { UNREF, 1 }, { CREATE_3D, 2 },
		{ ATTACH, 2 } } },
	{ "page passed on without its content", 0, {
		{ READY, 1, 1 }, { FILL }, { UNREF, 1 }, { CLEAR }, { CREATE_3D, 2 },
		{ ATTACH, 2 } } },
	{ "refused, and used all the same", 0, {
		{ CTX_CREATE, 0, 1 }, { CREATE_3D | REFUSED, 1 },
		{ ATTACH, 1 }, { CTX_ATTACH, 1, 1 }, { TO_HOST, 1, 1 },
		{ UNREF, 1 }, { CHECK } } },
	{ "no backing, and used all the same", 0, {
		{ CTX_CREATE, 0, 1 }, { CREATE_3D, 1 },
		{ ATTACH | REFUSED, 1 }, { CTX_ATTACH, 1, 1 },
		{ TO_HOST, 1, 1 }, { UNREF, 1 } } },
	{ "refused, and released twice", 1, {
		{ CREATE_3D | REFUSED, 1 }, { UNREF, 1 }, { UNREF, 1 } } },
	{ "release refused, page gone", 0, {
		{ READY, 1, 1 }, { UNREF | REFUSED, 1 }, { TRUNCATE }, { CHECK },
		{ SUBMIT, 0, 1 } } },
	{ "release refused, page passed on", 1, {
		{ READY, 1, 1 }, { UNREF | REFUSED, 1 }, { CREATE_3D, 2 },
		{ ATTACH, 2 } } },
	{ "context refused, and used all the same", 0, {
		{ CTX_CREATE | REFUSED, 0, 1 }, { SUBMIT, 0, 1 },
		{ CTX_DESTROY, 0, 1 }, { CTX_CREATE, 0, 1 } } },
};

/* The page that all of them use, and who has it. */
struct host_stage {
	struct host_model model;
	struct file *file;
	struct page *page;
	bool pinned;
	bool wrong;			/* content */
};

union host_any {
	struct virtio_gpu_ctrl_hdr hdr;
	struct virtio_gpu_resource_create_2d create_2d;
	struct virtio_gpu_resource_create_3d create_3d;
	struct virtio_gpu_transfer_host_3d transfer;
	struct {
		struct virtio_gpu_resource_attach_backing cmd;
		struct virtio_gpu_mem_entry entry;
	} attach;
	struct {
		struct virtio_gpu_resource_create_blob cmd;
		struct virtio_gpu_mem_entry entry;
	} blob;
	u8 bytes[128];
};

static void host_make_entry(const struct host_stage *stage,
			    struct virtio_gpu_mem_entry *entry)
{
	entry->addr = cpu_to_le64(page_to_phys(stage->page));
	entry->length = cpu_to_le32(PAGE_SIZE);
}

static void host_make_command(const struct host_stage *stage,
			      union host_any *any, u32 type)
{
	switch (type) {
	case CREATE_2D:
		any->create_2d.width = cpu_to_le32(SIDE);
		any->create_2d.height = cpu_to_le32(SIDE);
		break;
	case CREATE_3D:
		any->create_3d.target = cpu_to_le32(2);
		any->create_3d.width = cpu_to_le32(SIDE);
		any->create_3d.height = cpu_to_le32(SIDE);
		break;
	case CREATE_BLOB:
		any->blob.cmd.blob_mem = cpu_to_le32(VIRTIO_GPU_BLOB_MEM_GUEST);
		any->blob.cmd.nr_entries = cpu_to_le32(1);
		host_make_entry(stage, &any->blob.entry);
		break;
	case ATTACH:
		any->attach.cmd.nr_entries = cpu_to_le32(1);
		host_make_entry(stage, &any->attach.entry);
		break;
	case TO_HOST:
	case FROM_HOST:
		any->transfer.box.w = cpu_to_le32(SIDE);
		any->transfer.box.h = cpu_to_le32(SIDE);
		any->transfer.box.d = cpu_to_le32(1);
		break;
	}
}

static void host_give(struct host_stage *stage, const struct host_step *step)
{
	struct host_request *req = kzalloc_obj(*req, HOST_GFP);
	union host_any *any = kzalloc_obj(*any, HOST_GFP);
	u32 type = step->what & ~REFUSED;

	any->hdr.type = cpu_to_le32(type);
	any->hdr.ctx_id = cpu_to_le32(step->ctx);
	host_make_command(stage, any, type);
	host_request_init(req, any, sizeof(*any));
	req->res = step->res;
	if (step->what & REFUSED)
		host_model_refuse(&stage->model, req,
				  VIRTIO_GPU_RESP_ERR_UNSPEC);
	else
		host_model_begin(&stage->model, req);
	host_model_finish(&stage->model, req);
	kfree(any);
	kfree(req);
}

static void host_fill(struct host_stage *stage, int byte)
{
	void *p = kmap_local_page(stage->page);

	memset(p, byte, PAGE_SIZE);
	kunmap_local(p);
}

static void host_compare(struct host_stage *stage, int byte)
{
	void *p = kmap_local_page(stage->page);

	if (memchr_inv(p, byte, PAGE_SIZE))
		stage->wrong = true;
	kunmap_local(p);
}

static void host_unpin(struct host_stage *stage)
{
	if (stage->pinned)
		put_page(stage->page);
	stage->pinned = false;
}

static void host_make_ready(struct host_stage *stage,
			    const struct host_step *step)
{
	static const u32 types[] = { CTX_CREATE, CREATE_3D, ATTACH, CTX_ATTACH };
	struct host_step command = *step;
	int i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		command.what = types[i];
		host_give(stage, &command);
	}
}

/* To which there are no references that come and go. */
static void host_make_bare(struct host_stage *stage)
{
	host_unpin(stage);
	stage->page = alloc_page(HOST_GFP);
	stage->pinned = true;
}

static void host_do(struct host_stage *stage, const struct host_step *step)
{
	switch (step->what) {
	case READY:
		host_make_ready(stage, step);
		break;
	case CHECK:
		host_model_check(&stage->model);
		break;
	case TRUNCATE:
		shmem_truncate_range(file_inode(stage->file), 0, (loff_t)-1);
		break;
	case BARE:
		host_make_bare(stage);
		break;
	case UNPIN:
		host_unpin(stage);
		break;
	case FILL:
		host_fill(stage, FILLING);
		break;
	case CLEAR:
		host_fill(stage, 0);
		break;
	case IS_FILLED:
		host_compare(stage, FILLING);
		break;
	case IS_CLEAR:
		host_compare(stage, 0);
		break;
	default:
		host_give(stage, step);
		break;
	}
}

static int host_stage_set(struct host_stage *stage)
{
	stage->file = shmem_file_setup("virtgpu_host", PAGE_SIZE,
				       EMPTY_VMA_FLAGS);
	if (IS_ERR(stage->file))
		return PTR_ERR(stage->file);
	stage->page = shmem_read_mapping_page(stage->file->f_mapping, 0);
	if (IS_ERR(stage->page)) {
		fput(stage->file);
		return PTR_ERR(stage->page);
	}
	stage->pinned = true;
	stage->model.quiet = true;
	stage->model.check_content = true;
	host_model_init(&stage->model);
	return 0;
}

static void host_stage_clear(struct host_stage *stage)
{
	host_model_fini(&stage->model);
	host_unpin(stage);
	fput(stage->file);
}

static void host_play(struct seq_file *s, const struct host_case *play)
{
	struct host_stage *stage = kzalloc_obj(*stage, HOST_GFP);
	int i, ret = host_stage_set(stage);

	if (ret) {
		seq_printf(s, "not ok %s: no page (%d)\n", play->name, ret);
		kfree(stage);
		return;
	}
	for (i = 0; i < STEPS && play->step[i].what; i++)
		host_do(stage, &play->step[i]);
	if (stage->wrong)
		seq_printf(s, "not ok %s: the content is wrong\n", play->name);
	else if (stage->model.violations != play->violations)
		seq_printf(s, "not ok %s: %lu violations, not %lu\n",
			   play->name, stage->model.violations,
			   play->violations);
	else
		seq_printf(s, "ok %s\n", play->name);
	host_stage_clear(stage);
	kfree(stage);
}

/**
 * host_selftest_show - run all cases
 * @s: where their results go, one a line
 * @unused: not used
 *
 * Returns: 0
 */
int host_selftest_show(struct seq_file *s, void *unused)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(host_cases); i++)
		host_play(s, &host_cases[i]);
	return 0;
}

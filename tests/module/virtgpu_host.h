/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * A simulated host for the tests of virtio-gpu: see virtgpu_host_main.c.
 *
 *	virtgpu_host_main.c	the host: takes commands, answers them in time
 *	virtgpu_host_device.c	the device that it offers, and its rings
 *	virtgpu_host_model.c	what it knows, and what the driver must not do
 *	virtgpu_host_commands.c	what each command does
 *	virtgpu_host_pages.c	the guest's pages
 *	virtgpu_host_faults.c	what it does wrong when it is told to
 *	virtgpu_host_selftest.c	whether it sees what the driver must not do
 */
#ifndef VIRTGPU_HOST_H
#define VIRTGPU_HOST_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/virtio_gpu.h>
#include <linux/vringh.h>
#include <linux/xarray.h>

struct host_queue;
struct host_request;
struct seq_file;

/*
 * What a simulated host allocates is not the guest's, so it never does without.
 */
#define HOST_GFP (GFP_KERNEL | __GFP_NOFAIL)

#define HOST_CAPSET_SIZE 308
#define HOST_TEXTS 64

/* What it knows. Who has one sees to it that one at a time uses it. */
struct host_model {
	struct xarray resources;	/* alive, by id */
	struct xarray contexts;		/* alive, by id */
	struct xarray owners;		/* ids of resources, by page frame */
	struct xarray left;		/* see host_sample(), by page frame */
	struct list_head kept;		/* resources that are no longer alive */
	u64 copied;			/* bytes of content here */
	unsigned long pages;		/* of the guest's here */
	unsigned long lost;		/* resources with pages, not yet told */

	bool quiet;			/* print nothing */
	bool scribble;			/* write to pages before they go */
	bool check_content;		/* and see that it was zeroed */

	char *text[HOST_TEXTS];		/* the first violations */
	unsigned long violations;
	unsigned long resets, reset_alive, reset_lost;
	unsigned long refused;
	unsigned long *commands;	/* by kind */
};

/* What a command is, and what is done about it. */
struct host_kind {
	u32 type;
	const char *name;
	size_t size;
	size_t res;			/* where it names a resource, or 0 */
	/* in the order of the ring; may refuse */
	void (*begin)(struct host_model *model, struct host_request *req);
	/* right before it is answered, unless it was refused */
	void (*finish)(struct host_model *model, struct host_request *req);
	/* instead of both, when it is to be refused */
	void (*refuse)(struct host_model *model, struct host_request *req);
};

union host_response {
	struct virtio_gpu_ctrl_hdr hdr;
	struct virtio_gpu_resp_display_info display;
	struct virtio_gpu_resp_capset_info capset_info;
	struct virtio_gpu_resp_resource_uuid uuid;
	u8 capset[sizeof(struct virtio_gpu_resp_capset) + HOST_CAPSET_SIZE];
};

/* A command, as the model sees it. */
struct host_request {
	const struct host_kind *kind;	/* NULL: there is no such command */
	const struct virtio_gpu_ctrl_hdr *cmd;
	size_t len;
	u32 res;
	u32 ctx;
	u32 answer;
	size_t response_len;
	union host_response response;
};

/* A command, as it lies in the ring. */
struct host_command {
	struct list_head link;
	struct host_queue *queue;
	struct vringh_kiov out;		/* where its answer goes */
	u16 head;
	void *data;
	struct host_request req;
	unsigned long due;		/* not answered before, in jiffies */
	bool held;
};

struct host_faults {
	struct list_head rules;
	bool reorder, scribble, check_content, forget_reset;
	bool dead;
};

/* What is to be done wrong with a command. */
struct host_verdict {
	u32 refuse;
	unsigned int delay_ms;
	bool hold;
};

/* What changes of the faults mean for commands that wait. */
enum host_change {
	HOST_CHANGE_RELEASE = BIT(0),
	HOST_CHANGE_CLEAR = BIT(1),
};

extern struct mutex host_lock;
void host_kick(void);
void host_reset(void);

int host_device_set_features(char *names);
void host_device_show_features(struct seq_file *s);
int host_device_add(void);
void host_device_remove(void);
struct host_command *host_device_fetch(struct host_model *model, bool cursor);
void host_device_answer(struct host_command *cmd);
void host_command_free(struct host_command *cmd);

const struct host_kind *host_kind_named(const char *name);
void host_request_init(struct host_request *req, const void *cmd, size_t len);
void host_model_init(struct host_model *model);
void host_model_fini(struct host_model *model);
void host_model_begin(struct host_model *model, struct host_request *req);
void host_model_refuse(struct host_model *model, struct host_request *req,
		       u32 error);
void host_model_finish(struct host_model *model, struct host_request *req);
void host_model_check(struct host_model *model);
void host_model_reset(struct host_model *model, bool forget);
void host_model_drop_kept(struct host_model *model);
bool host_model_holds_pages(const struct host_model *model);
__printf(2, 3)
void host_model_accuse(struct host_model *model, const char *fmt, ...);
void host_model_show_resources(struct host_model *model, struct seq_file *s);
void host_model_show_violations(struct host_model *model, struct seq_file *s);
void host_model_show_stats(struct host_model *model, struct seq_file *s);

void host_faults_init(struct host_faults *faults);
void host_faults_clear(struct host_faults *faults);
void host_faults_judge(struct host_faults *faults,
		       const struct host_kind *kind,
		       struct host_verdict *verdict);
int host_faults_write(struct host_faults *faults, char *text);
void host_faults_show(struct host_faults *faults, struct seq_file *s);

int host_selftest_show(struct seq_file *s, void *unused);

#endif

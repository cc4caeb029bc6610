// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A simulated host for the tests of virtio-gpu: a module that offers the driver a
 * virtio GPU inside its own kernel, and answers its commands.
 *
 * It draws nothing.  What it has over a host that does is that it sees the guest's
 * memory from inside, so it knows when the driver breaks a rule of the protocol
 * (virtgpu_host_model.c); that a driver which touches what it has freed is seen by
 * the kernel's own checks; and that it can be told to refuse, to be slow, to answer
 * in another order, or to die (virtgpu_host_faults.c).
 *
 * All the host does is done by one delayed work, which runs at once when the driver
 * notifies it, and else when the next answer is due.  In debugfs, virtgpu_host/:
 *
 *	features	of the device to come: virgl, blob, uuid, context; or 2d
 *	add, remove	a device, when something is written to them
 *	faults		orders, see virtgpu_host_faults.c; what is in force
 *	resources	what it has, one a line
 *	violations	how many, then the first of them
 *	stats		a number a line, after its name
 *	selftest	runs when it is read: are violations seen?
 *
 * For each violation it prints a line that begins with "BUG: virtgpu_host: ".
 */

#include <linux/debugfs.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "virtgpu_host.h"

/* How often it looks after the guest's pages while it has some. */
#define CHECK_MS 100

/* How much later an answer may be when the order is to be mixed up. */
#define REORDER_MS 20

static char features[64] = "virgl";
module_param_string(features, features, sizeof(features), 0);
MODULE_PARM_DESC(features, "The device to begin with: virgl, blob, uuid, context, with commas in between; or 2d (default: virgl)");

/* Protects all of the host but its device's coming and going. */
DEFINE_MUTEX(host_lock);

static struct {
	struct workqueue_struct *wq;
	struct delayed_work work;
	struct list_head waiting;	/* commands, in the order of the ring */
	struct host_model model;
	struct host_faults faults;
	unsigned long next_check;
	unsigned long answers;
	unsigned long reset_waiting;
	struct dentry *dir;
} host;

/**
 * host_kick - there may be something to do for the host
 */
void host_kick(void)
{
	mod_delayed_work(host.wq, &host.work, 0);
}

/*
 * Arrival
 */

static unsigned int host_delay_ms(const struct host_verdict *verdict)
{
	unsigned int ms = verdict->delay_ms;

	if (host.faults.reorder)
		ms += get_random_u32_below(REORDER_MS);
	return ms;
}

static void host_take(struct host_command *cmd)
{
	struct host_verdict verdict = { 0 };

	list_add_tail(&cmd->link, &host.waiting);
	host_faults_judge(&host.faults, cmd->req.kind, &verdict);
	cmd->held = verdict.hold;
	cmd->due = jiffies + msecs_to_jiffies(host_delay_ms(&verdict));
	if (verdict.refuse && cmd->req.kind)
		host_model_refuse(&host.model, &cmd->req, verdict.refuse);
	else
		host_model_begin(&host.model, &cmd->req);
}

/* A host that dies of a command has begun with it. */
static void host_fetch(void)
{
	struct host_command *cmd;

	while (!host.faults.dead &&
	       (cmd = host_device_fetch(&host.model, false)))
		host_take(cmd);
	while (!host.faults.dead &&
	       (cmd = host_device_fetch(&host.model, true)))
		host_take(cmd);
}

/*
 * Answers
 */

/*
 * Fences of one timeline signal in turn.  A context has as many as it has rings,
 * all who don't name a ring share one.
 */
static bool host_same_timeline(const struct virtio_gpu_ctrl_hdr *a,
			       const struct virtio_gpu_ctrl_hdr *b)
{
	const __le32 ring = cpu_to_le32(VIRTIO_GPU_FLAG_INFO_RING_IDX);

	if (!(a->flags & ring) || !(b->flags & ring))
		return !((a->flags | b->flags) & ring);
	return a->ctx_id == b->ctx_id && a->ring_idx == b->ring_idx;
}

static bool host_has_fence(const struct host_command *cmd)
{
	return cmd->req.cmd->flags & cpu_to_le32(VIRTIO_GPU_FLAG_FENCE);
}

static bool host_waits_for_fence(const struct host_command *cmd)
{
	const struct host_command *before;

	if (!host_has_fence(cmd))
		return false;
	list_for_each_entry(before, &host.waiting, link) {
		if (before == cmd)
			break;
		if (host_has_fence(before) &&
		    host_same_timeline(before->req.cmd, cmd->req.cmd))
			return true;
	}
	return false;
}

/* Returns the command that is answered next, or NULL: none can be now. */
static struct host_command *host_next(void)
{
	struct host_command *cmd, *next = NULL;
	unsigned int n = 0;

	list_for_each_entry(cmd, &host.waiting, link) {
		if (cmd->held || time_before(jiffies, cmd->due) ||
		    host_waits_for_fence(cmd))
			continue;
		if (!host.faults.reorder)
			return cmd;
		if (!get_random_u32_below(++n))
			next = cmd;
	}
	return next;
}

static void host_answer(void)
{
	struct host_command *cmd;

	while (!host.faults.dead && (cmd = host_next())) {
		list_del(&cmd->link);
		host_model_finish(&host.model, &cmd->req);
		host_device_answer(cmd);
		host.answers++;
		cond_resched();
	}
}

static void host_check(void)
{
	if (time_before(jiffies, host.next_check))
		return;
	host_model_check(&host.model);
	host.next_check = jiffies + msecs_to_jiffies(CHECK_MS);
}

/* Jiffies until there is something to do again, MAX_JIFFY_OFFSET: never. */
static unsigned long host_idle_time(void)
{
	unsigned long now = jiffies, idle = MAX_JIFFY_OFFSET;
	struct host_command *cmd;

	if (host_model_holds_pages(&host.model))
		idle = time_after(host.next_check, now) ?
		       host.next_check - now : 0;
	if (host.faults.dead)
		return idle;
	list_for_each_entry(cmd, &host.waiting, link)
		if (!cmd->held && time_after(cmd->due, now))
			idle = min(idle, cmd->due - now);
	return idle;
}

static void host_work(struct work_struct *work)
{
	unsigned long idle;

	mutex_lock(&host_lock);
	host.model.scribble = host.faults.scribble;
	host.model.check_content = host.faults.check_content;
	host_fetch();
	host_answer();
	host_check();
	idle = host_idle_time();
	mutex_unlock(&host_lock);
	/* Does nothing when the driver has notified us meanwhile. */
	if (idle < MAX_JIFFY_OFFSET)
		queue_delayed_work(host.wq, &host.work, idle);
}

static void host_drop_waiting(void)
{
	struct host_command *cmd, *next;

	list_for_each_entry_safe(cmd, next, &host.waiting, link) {
		list_del(&cmd->link);
		host_command_free(cmd);
	}
}

/**
 * host_reset - the driver has reset the device
 */
void host_reset(void)
{
	lockdep_assert_held(&host_lock);
	host.reset_waiting = list_count_nodes(&host.waiting);
	host_drop_waiting();
	host_model_reset(&host.model, host.faults.forget_reset);
	host.faults.dead = false;
}

/*
 * debugfs
 */

/* The work's own pace goes on; what was to wait does not. */
static void host_changed(int change)
{
	struct host_command *cmd;

	lockdep_assert_held(&host_lock);
	if (change)
		list_for_each_entry(cmd, &host.waiting, link)
			cmd->held = false;
	if (change & HOST_CHANGE_CLEAR)
		host_model_drop_kept(&host.model);
}

static int host_write_faults(char *text)
{
	int ret;

	mutex_lock(&host_lock);
	ret = host_faults_write(&host.faults, text);
	if (ret >= 0)
		host_changed(ret);
	mutex_unlock(&host_lock);
	host_kick();
	return min(ret, 0);
}

static int host_write_add(char *text)
{
	return host_device_add();
}

static int host_write_remove(char *text)
{
	host_device_remove();
	return 0;
}

static int host_show_features(struct seq_file *s, void *unused)
{
	host_device_show_features(s);
	return 0;
}

static int host_show_faults(struct seq_file *s, void *unused)
{
	mutex_lock(&host_lock);
	host_faults_show(&host.faults, s);
	mutex_unlock(&host_lock);
	return 0;
}

static int host_show_resources(struct seq_file *s, void *unused)
{
	mutex_lock(&host_lock);
	host_model_show_resources(&host.model, s);
	mutex_unlock(&host_lock);
	return 0;
}

static int host_show_violations(struct seq_file *s, void *unused)
{
	mutex_lock(&host_lock);
	host_model_show_violations(&host.model, s);
	mutex_unlock(&host_lock);
	return 0;
}

static int host_show_stats(struct seq_file *s, void *unused)
{
	struct host_command *cmd;
	unsigned long held = 0;

	mutex_lock(&host_lock);
	list_for_each_entry(cmd, &host.waiting, link)
		held += cmd->held;
	seq_printf(s, "answers %lu\n", host.answers);
	seq_printf(s, "waiting %zu\n", list_count_nodes(&host.waiting));
	seq_printf(s, "held %lu\n", held);
	seq_printf(s, "dead %d\n", host.faults.dead);
	seq_printf(s, "reset_waiting %lu\n", host.reset_waiting);
	host_model_show_stats(&host.model, s);
	mutex_unlock(&host_lock);
	return 0;
}

static const struct host_file {
	const char *name;
	int (*show)(struct seq_file *s, void *unused);
	int (*write)(char *text);
} host_files[] = {
	{ "features", host_show_features, host_device_set_features },
	{ "add", NULL, host_write_add },
	{ "remove", NULL, host_write_remove },
	{ "faults", host_show_faults, host_write_faults },
	{ "resources", host_show_resources },
	{ "violations", host_show_violations },
	{ "stats", host_show_stats },
	{ "selftest", host_selftest_show },
};

static int host_file_open(struct inode *inode, struct file *file)
{
	const struct host_file *f = inode->i_private;

	return f->show ? single_open(file, f->show, NULL) : 0;
}

static ssize_t host_file_write(struct file *file, const char __user *user,
			       size_t len, loff_t *pos)
{
	const struct host_file *f = file_inode(file)->i_private;
	char *text;
	int ret;

	if (!f->write || len > PAGE_SIZE)
		return -EINVAL;
	text = memdup_user_nul(user, len);
	if (IS_ERR(text))
		return PTR_ERR(text);
	ret = f->write(text);
	kfree(text);
	return ret ?: len;
}

static int host_file_release(struct inode *inode, struct file *file)
{
	const struct host_file *f = inode->i_private;

	return f->show ? single_release(inode, file) : 0;
}

static const struct file_operations host_file_ops = {
	.owner = THIS_MODULE,
	.open = host_file_open,
	.read = seq_read,
	.write = host_file_write,
	.release = host_file_release,
};

static void host_debugfs_add(void)
{
	unsigned int i;

	host.dir = debugfs_create_dir("virtgpu_host", NULL);
	for (i = 0; i < ARRAY_SIZE(host_files); i++) {
		const struct host_file *f = &host_files[i];

		debugfs_create_file(f->name, (f->show ? 0400 : 0) |
				    (f->write ? 0200 : 0), host.dir, (void *)f,
				    &host_file_ops);
	}
}

/*
 * Module
 */

static void host_fini(void)
{
	host_device_remove();
	cancel_delayed_work_sync(&host.work);
	destroy_workqueue(host.wq);
	host_faults_clear(&host.faults);
	host_model_fini(&host.model);
}

static int __init host_init(void)
{
	int ret;

	host.wq = alloc_ordered_workqueue("virtgpu_host", WQ_MEM_RECLAIM);
	if (!host.wq)
		return -ENOMEM;
	INIT_DELAYED_WORK(&host.work, host_work);
	INIT_LIST_HEAD(&host.waiting);
	host_model_init(&host.model);
	host_faults_init(&host.faults);
	ret = host_device_set_features(features) ?: host_device_add();
	if (ret)
		host_fini();
	else
		host_debugfs_add();
	return ret;
}
module_init(host_init);

static void __exit host_exit(void)
{
	debugfs_remove(host.dir);
	host_fini();
}
module_exit(host_exit);

MODULE_DESCRIPTION("Simulated host for the tests of virtio-gpu");
MODULE_LICENSE("Dual MIT/GPL");

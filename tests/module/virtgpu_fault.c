// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Faults for the tests of virtio-gpu, on kernels that have no fault injection:
 * commands that can't be queued, and a host that says no.
 *
 * Both are done to the control queue of any virtio GPU, by probes on what its
 * driver calls.  The parameters can be written at any time.
 */

#include <linux/atomic.h>
#include <linux/kprobes.h>
#include <linux/linkage.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/objtool.h>
#include <linux/string.h>
#include <linux/virtio.h>
#include <linux/virtio_gpu.h>
#include <linux/virtio_ids.h>

#include "virtgpu_drv.h"

static unsigned int fail_every;
module_param(fail_every, uint, 0644);
MODULE_PARM_DESC(fail_every, "Let every so manyth virtqueue_add_sgs() fail, 0: none");

static int fail_errno = 12;
module_param(fail_errno, int, 0644);
MODULE_PARM_DESC(fail_errno, "With this error");

static unsigned int failed;
module_param(failed, uint, 0444);
MODULE_PARM_DESC(failed, "How many did");

static unsigned int answer_to;
module_param(answer_to, uint, 0644);
MODULE_PARM_DESC(answer_to, "Change the answers to this command, 0: none");

static unsigned int answer_with = VIRTIO_GPU_RESP_ERR_UNSPEC;
module_param(answer_with, uint, 0644);
MODULE_PARM_DESC(answer_with, "Into this");

static unsigned int answered;
module_param(answered, uint, 0444);
MODULE_PARM_DESC(answered, "How many were");

static bool is_control_queue(const struct virtqueue *vq)
{
	return vq->vdev->id.device == VIRTIO_ID_GPU &&
	       !strcmp(vq->name, "control");
}

/* What a function that does not run is left by; the result is in ax already. */
asmlinkage void virtgpu_fault_return(void);
#define FAULT_RETURN_ASM \
	".text\n" \
	".type virtgpu_fault_return, @function\n" \
	"virtgpu_fault_return:\n" \
	ANNOTATE_NOENDBR "\n" \
	ASM_RET "\n" \
	".size virtgpu_fault_return, . - virtgpu_fault_return\n"
asm(FAULT_RETURN_ASM);

static int before_add(struct kprobe *probe, struct pt_regs *regs)
{
	static atomic_t calls = ATOMIC_INIT(0);
	unsigned int every = READ_ONCE(fail_every);

	if (!every || !is_control_queue((struct virtqueue *)regs->di) ||
	    (unsigned int)atomic_inc_return(&calls) % every)
		return 0;
	failed++;
	regs->ax = -(long)READ_ONCE(fail_errno);
	regs->ip = (unsigned long)virtgpu_fault_return;
	return 1;
}

/* With one, the probe is not made a jump, which would run the function anyway. */
static void after_add(struct kprobe *probe, struct pt_regs *regs,
		      unsigned long flags)
{
}

static struct kprobe add_probe = {
	.symbol_name = "virtqueue_add_sgs",
	.pre_handler = before_add,
	.post_handler = after_add,
};

/* Others' queues need no look at what they return. */
static int before_get(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	return !is_control_queue((struct virtqueue *)regs->di);
}

static int after_get(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct virtio_gpu_vbuffer *vbuf = (void *)regs_return_value(regs);
	unsigned int type = READ_ONCE(answer_to);
	struct virtio_gpu_ctrl_hdr *cmd, *resp;

	if (!vbuf || !type)
		return 0;
	cmd = (void *)vbuf->buf;
	resp = (void *)vbuf->resp_buf;
	if (le32_to_cpu(cmd->type) != type)
		return 0;
	resp->type = cpu_to_le32(READ_ONCE(answer_with));
	answered++;
	return 0;
}

static struct kretprobe get_probe = {
	.kp.symbol_name = "virtqueue_get_buf",
	.entry_handler = before_get,
	.handler = after_get,
};

static int __init virtgpu_fault_init(void)
{
	int ret;

	ret = register_kprobe(&add_probe);
	if (ret)
		return ret;
	ret = register_kretprobe(&get_probe);
	if (ret)
		unregister_kprobe(&add_probe);
	return ret;
}
module_init(virtgpu_fault_init);

static void __exit virtgpu_fault_exit(void)
{
	unregister_kretprobe(&get_probe);
	unregister_kprobe(&add_probe);
}
module_exit(virtgpu_fault_exit);

MODULE_DESCRIPTION("Faults for the tests of virtio-gpu");
MODULE_LICENSE("Dual MIT/GPL");

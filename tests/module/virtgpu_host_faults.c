// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What the simulated host does wrong when it is told to, one order a line:
 *
 *	refuse TYPE NTH ERROR	the NTH command from now on, 0: every one
 *	delay TYPE MS		every answer
 *	hold TYPE COUNT		the next COUNT answers (0: all), until release
 *	release			answer what is held, and hold nothing any more
 *	die TYPE NTH		at the NTH command, 0: now; answer nothing any more
 *	reorder 0|1		answer in any order that is allowed
 *	scribble 0|1		write to pages when a command gives them back
 *	check_content 0|1	see that they are zeroed before they come again
 *	forget_reset 0|1	keep all when the device is reset
 *	clear			do none of this any more, and live
 *
 * TYPE is the name of a command (create_3d, unref ...: as "stats" has them) or
 * "all"; ERROR is unspec, out_of_memory, invalid_scanout_id, invalid_resource_id,
 * invalid_context_id or invalid_parameter.
 */

#include <linux/kstrtox.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "virtgpu_host.h"

#define ORDERS_MAX 16
#define DELAY_MAX_MS 60000

enum host_verb {
	HOST_REFUSE,
	HOST_DELAY,
	HOST_HOLD,
	HOST_DIE,
	HOST_RELEASE,
	HOST_CLEAR,
	HOST_REORDER,
	HOST_SCRIBBLE,
	HOST_CHECK_CONTENT,
	HOST_FORGET_RESET,
};

static const struct {
	const char *name;
	int args;
	u32 max;
} host_verbs[] = {
	[HOST_REFUSE] = { "refuse", 3, U32_MAX },
	[HOST_DELAY] = { "delay", 2, DELAY_MAX_MS },
	[HOST_HOLD] = { "hold", 2, U32_MAX },
	[HOST_DIE] = { "die", 2, U32_MAX },
	[HOST_RELEASE] = { "release", 0 },
	[HOST_CLEAR] = { "clear", 0 },
	[HOST_REORDER] = { "reorder", 1, 1 },
	[HOST_SCRIBBLE] = { "scribble", 1, 1 },
	[HOST_CHECK_CONTENT] = { "check_content", 1, 1 },
	[HOST_FORGET_RESET] = { "forget_reset", 1, 1 },
};

static const char * const host_errors[] = {
	"unspec", "out_of_memory", "invalid_scanout_id", "invalid_resource_id",
	"invalid_context_id", "invalid_parameter",
};

struct host_order {
	enum host_verb verb;
	const struct host_kind *kind;	/* NULL: all of them */
	u32 number;			/* its one number */
	u32 error;			/* index of host_errors[] */
};

struct host_rule {
	struct list_head link;
	struct host_order order;
	u32 seen, hit;
};

/**
 * host_faults_init - do nothing wrong
 * @faults: the faults, zeroed
 */
void host_faults_init(struct host_faults *faults)
{
	INIT_LIST_HEAD(&faults->rules);
}

/* Of all verbs if @verb is negative. */
static void host_drop_rules(struct host_faults *faults, int verb)
{
	struct host_rule *rule, *next;

	list_for_each_entry_safe(rule, next, &faults->rules, link) {
		if (verb >= 0 && rule->order.verb != verb)
			continue;
		list_del(&rule->link);
		kfree(rule);
	}
}

/**
 * host_faults_clear - do nothing wrong any more
 * @faults: the faults
 */
void host_faults_clear(struct host_faults *faults)
{
	host_drop_rules(faults, -1);
	memset(faults, 0, sizeof(*faults));
	host_faults_init(faults);
}

static bool host_rule_hits(const struct host_rule *rule)
{
	u32 number = rule->order.number;

	switch (rule->order.verb) {
	case HOST_REFUSE:
		return !number || rule->seen == number;
	case HOST_HOLD:
		return !number || rule->hit < number;
	case HOST_DIE:
		return rule->seen == number;
	default:
		return true;
	}
}

static void host_rule_apply(const struct host_rule *rule,
			    struct host_faults *faults,
			    struct host_verdict *verdict)
{
	switch (rule->order.verb) {
	case HOST_REFUSE:
		verdict->refuse = VIRTIO_GPU_RESP_ERR_UNSPEC +
				  rule->order.error;
		break;
	case HOST_DELAY:
		verdict->delay_ms += rule->order.number;
		break;
	case HOST_HOLD:
		verdict->hold = true;
		break;
	default:
		faults->dead = true;
		break;
	}
}

/**
 * host_faults_judge - what to do wrong with a command that has arrived
 * @faults: the faults
 * @kind: of which kind it is
 * @verdict: where that goes, zeroed
 */
void host_faults_judge(struct host_faults *faults,
		       const struct host_kind *kind,
		       struct host_verdict *verdict)
{
	struct host_rule *rule;

	list_for_each_entry(rule, &faults->rules, link) {
		if (rule->order.kind && rule->order.kind != kind)
			continue;
		rule->seen++;
		if (!host_rule_hits(rule))
			continue;
		rule->hit++;
		host_rule_apply(rule, faults, verdict);
	}
}

static int host_parse_args(struct host_order *order, char **arg)
{
	int args = host_verbs[order->verb].args, error;

	if (args >= 2 && strcmp(*arg, "all")) {
		order->kind = host_kind_named(*arg);
		if (!order->kind)
			return -EINVAL;
	}
	arg += args >= 2;
	if (args && (kstrtou32(*arg, 10, &order->number) ||
		     order->number > host_verbs[order->verb].max))
		return -EINVAL;
	if (args < 3)
		return 0;
	error = match_string(host_errors, ARRAY_SIZE(host_errors), arg[1]);
	order->error = error;
	return min(error, 0);
}

static int host_parse_line(struct host_order *order, char *line)
{
	int argc, verb, ret = -EINVAL;
	char **argv;

	argv = argv_split(GFP_KERNEL, line, &argc);
	if (!argv)
		return -ENOMEM;
	for (verb = 0; argc && verb < ARRAY_SIZE(host_verbs); verb++) {
		if (strcmp(argv[0], host_verbs[verb].name) ||
		    argc - 1 != host_verbs[verb].args)
			continue;
		order->verb = verb;
		ret = host_parse_args(order, argv + 1);
	}
	argv_free(argv);
	return ret;
}

static void host_add_rule(struct host_faults *faults,
			  const struct host_order *order)
{
	struct host_rule *rule = kzalloc_obj(*rule, HOST_GFP);

	rule->order = *order;
	list_add_tail(&rule->link, &faults->rules);
}

static int host_obey(struct host_faults *faults, const struct host_order *order)
{
	switch (order->verb) {
	case HOST_DIE:
		if (!order->number)
			faults->dead = true;
		fallthrough;
	case HOST_REFUSE:
	case HOST_DELAY:
	case HOST_HOLD:
		host_add_rule(faults, order);
		return 0;
	case HOST_RELEASE:
		host_drop_rules(faults, HOST_HOLD);
		return HOST_CHANGE_RELEASE;
	case HOST_CLEAR:
		host_faults_clear(faults);
		return HOST_CHANGE_CLEAR;
	case HOST_REORDER:
		faults->reorder = order->number;
		return 0;
	case HOST_SCRIBBLE:
		faults->scribble = order->number;
		return 0;
	case HOST_CHECK_CONTENT:
		faults->check_content = order->number;
		return 0;
	case HOST_FORGET_RESET:
		faults->forget_reset = order->number;
		return 0;
	}
	return 0;
}

/**
 * host_faults_write - obey orders, all or none of them
 * @faults: the faults
 * @text: the orders, a line each; spoilt by this
 *
 * Returns: bits of &enum host_change, or a negative error code.
 */
int host_faults_write(struct host_faults *faults, char *text)
{
	struct host_order *orders;
	int i, n = 0, ret = 0, change = 0;
	char *line;

	orders = kzalloc_objs(*orders, ORDERS_MAX);
	if (!orders)
		return -ENOMEM;
	while (!ret && (line = strsep(&text, "\n"))) {
		if (!*line)
			continue;
		ret = n < ORDERS_MAX ? host_parse_line(&orders[n++], line) :
				       -EINVAL;
	}
	for (i = 0; !ret && i < n; i++)
		change |= host_obey(faults, &orders[i]);
	kfree(orders);
	return ret ?: change;
}

static void host_show_rule(struct seq_file *s, const struct host_rule *rule)
{
	const struct host_order *order = &rule->order;

	seq_printf(s, "%s %s %u", host_verbs[order->verb].name,
		   order->kind ? order->kind->name : "all", order->number);
	if (order->verb == HOST_REFUSE)
		seq_printf(s, " %s", host_errors[order->error]);
	seq_printf(s, " seen %u hit %u\n", rule->seen, rule->hit);
}

/**
 * host_faults_show - what is in force, one order a line
 * @faults: the faults
 * @s: where to
 */
void host_faults_show(struct host_faults *faults, struct seq_file *s)
{
	struct host_rule *rule;

	list_for_each_entry(rule, &faults->rules, link)
		host_show_rule(s, rule);
	seq_printf(s, "reorder %d\n", faults->reorder);
	seq_printf(s, "scribble %d\n", faults->scribble);
	seq_printf(s, "check_content %d\n", faults->check_content);
	seq_printf(s, "forget_reset %d\n", faults->forget_reset);
	seq_printf(s, "dead %d\n", faults->dead);
}

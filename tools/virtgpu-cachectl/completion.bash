# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Completion for virtgpu-cachectl, by what the program itself says there is.

_virtgpu_cachectl_options() { # [COMMAND]
	virtgpu-cachectl "$@" --help 2> /dev/null |
		sed -n '/^Options:/,/^$/ s/.* \(--[a-z-]*\) .*/\1/p'
}

_virtgpu_cachectl_commands() {
	virtgpu-cachectl --help 2> /dev/null |
		sed -n '/^Commands/,/^$/ s/^  \([a-z]\{1,\}\) .*/\1/p'
}

# The first is the column, the second the key that it shows, if it does
_virtgpu_cachectl_columns() { # 1|2
	virtgpu-cachectl --list-columns --noheadings --raw | cut -d ' ' -f "$1"
}

_virtgpu_cachectl_devices() {
	virtgpu-cachectl --noheadings --raw --output DEVICE 2> /dev/null
}

# What the word after the option or command before it can be
_virtgpu_cachectl_words() { # COMMAND PREVIOUS
	case $2 in
	-d | --device) _virtgpu_cachectl_devices ;;
	-o | --output) _virtgpu_cachectl_columns 1 ;;
	--tier) echo resource pages purgeable ;;
	-a | --all | -f | --file | --html | --sysroot | --guest | --cgroup | \
		--stall | --cool-down | =) ;;
	*)	_virtgpu_cachectl_options ${1:+"$1"}
		case $1 in
		'') _virtgpu_cachectl_commands ;;
		show) _virtgpu_cachectl_devices ;;
		get) _virtgpu_cachectl_columns 2 ;;
		set) echo enabled= timeout_ms= max_bytes= ;;
		esac ;;
	esac
}

# And whether it can be a file or a program.  Those are not ours to name: as words
# of a list the shell would expand them, with all that may stand in them.
_virtgpu_cachectl_names() { # COMMAND PREVIOUS WORD
	case $2 in
	-f | --file | --html | --guest | --cgroup) compgen -f -- "$3" ;;
	-d | --device | -a | --all | --sysroot | --stall | --cool-down) ;;
	*)	case $1 in
		record) compgen -c -- "$3" ;;
		report | advise | host) compgen -f -- "$3" ;;
		esac ;;
	esac
}

_virtgpu_cachectl() {
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local command='' i before='' names

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-*) ;;
		*)	case ${COMP_WORDS[i - 1]} in
			-d | --device | -o | --output | --tier | --sysroot) ;;
			-a | --all | -f | --file | --html) ;;
			*)	command=${COMP_WORDS[i]}
				break ;;
			esac ;;
		esac
	done
	# Of a list of columns, the last one is being written
	case $previous in
	-o | --output)
		before=${word%"${word##*[,+]}"}
		word=${word##*[,+]} ;;
	esac
	mapfile -t COMPREPLY < <(compgen -P "$before" -W \
		"$(_virtgpu_cachectl_words "$command" "$previous")" -- "$word")
	[[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace
	mapfile -t names < <(_virtgpu_cachectl_names "$command" "$previous" \
		"$word")
	((${#names[@]} == 0)) || compopt -o filenames
	COMPREPLY+=("${names[@]}")
}

complete -F _virtgpu_cachectl virtgpu-cachectl

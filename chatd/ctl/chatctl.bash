# Completion of chatctl for bash. Sessions, prompts and owners are asked of chatctl itself.
_chatctl_ids() { # column of a table on stdin
	command "${words[0]}" "${where[@]}" "$@" 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_chatctl() {
	local cur prev words cword
	_init_completion 2>/dev/null || {
		cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
		words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
	}
	local commands common='--config --db --bus --json' command='' i
	local -a where=()
	commands=$(command "${words[0]}" --help 2>/dev/null | awk '/^  [a-z]/ { print $1 }')

	case $prev in
	-c | --config | --db | --file) COMPREPLY=($(compgen -f -- "$cur")) && return ;;
	--bus) COMPREPLY=($(compgen -d -- "$cur")) && return ;;
	--state) COMPREPLY=($(compgen -W 'idle processing waiting' -- "$cur")) && return ;;
	--on-busy) COMPREPLY=($(compgen -W 'reject queue interrupt' -- "$cur")) && return ;;
	esac
	for ((i = 1; i < cword; i++)); do
		case ${words[i]} in
		-c | --config | --db | --bus) where+=("${words[i]}" "${words[++i]}") ;;
		-*) ;;
		*) command=${words[i]} && break ;;
		esac
	done
	if [[ $prev == --session && $command == send ]]; then
		COMPREPLY=($(compgen -W "$(_chatctl_ids sessions)" -- "$cur"))
		return
	fi
	case $command in
	'') COMPREPLY=($(compgen -W "$commands $common --version --help" -- "$cur")) ;;
	show | abort) COMPREPLY=($(compgen -W "$(_chatctl_ids sessions)" -- "$cur")) ;;
	prompts) COMPREPLY=($(compgen -W "$(_chatctl_ids sessions)" -- "$cur")) ;;
	follow) COMPREPLY=($(compgen -W "$(_chatctl_ids sessions) --until-idle --reasoning --after" -- "$cur")) ;;
	allow) COMPREPLY=($(compgen -W "$(_chatctl_ids prompts) --session" -- "$cur")) ;;
	deny | answer) COMPREPLY=($(compgen -W "$(_chatctl_ids prompts)" -- "$cur")) ;;
	sessions) COMPREPLY=($(compgen -W "--owner --state --search --limit $common" -- "$cur")) ;;
	send) COMPREPLY=($(compgen -W "--session --owner --provider --model --on-busy --follow $common" -- "$cur")) ;;
	token) COMPREPLY=($(compgen -W 'add list revoke --file' -- "$cur")) ;;
	prune) COMPREPLY=($(compgen -W "--keep-deltas --keep-sessions --max-size --vacuum $common" -- "$cur")) ;;
	backup | verify) COMPREPLY=($(compgen -f -- "$cur")) ;;
	*) COMPREPLY=($(compgen -W "$common" -- "$cur")) ;;
	esac
}
complete -F _chatctl chatctl

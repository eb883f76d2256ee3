# Written by 'make docs' from the usage. Change that.
_kresc() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi
	COMPREPLY=()
	case $prev in
	-e|--execute|-n|--count|-d|--delay) return ;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W '-e --execute -a --all -j --json -n --count -d --delay -V --version -h --help' -- "$cur")
		return
	fi
	if [[ $prev == config && $COMP_CWORD == 2 ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'check diff' -- "$cur"; compgen -f -- "$cur")
		return
	fi
	mapfile -t COMPREPLY < <(compgen -W 'status top reload config' -- "$cur"; compgen -f -- "$cur")
}
complete -o filenames -F _kresc kresc

# Written by 'make docs' from the usage. Change that.
_kresd() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi
	COMPREPLY=()
	case $prev in
	-c|--config) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	-k|--keyfile) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	-K|--keyfile-ro) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	-m|--moduledir) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	--log-format) mapfile -t COMPREPLY < <(compgen -W 'text json logfmt' -- "$cur"); return ;;
	--script) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	-a|--addr|-t|--tls|-S|--fd|-T|--tlsfd|-f|--forks) return ;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W '-a --addr -t --tls -S --fd -T --tlsfd -c --config -k --keyfile -K --keyfile-ro -m --moduledir -f --forks -n --noninteractive -q --quiet -v --verbose --log-format --check-config --script -V --version -h --help' -- "$cur")
		return
	fi
	mapfile -t COMPREPLY < <(compgen -d -- "$cur")
}
complete -o filenames -F _kresd kresd kresd-supervisor

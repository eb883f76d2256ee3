# Written by 'make docs' from the usage. Change that.
complete -c kresc -n __fish_use_subcommand -a 'status top reload config'
complete -c kresc -s e -l execute -x -d 'Run a command and end, repeatable'
complete -c kresc -s a -l all -d 'Run commands in every worker of every group, not in the first of each group'
complete -c kresc -s j -l json -d 'Show values as JSON'
complete -c kresc -s n -l count -x -d 'top'
complete -c kresc -s d -l delay -x -d 'top'
complete -c kresc -s V -l version -d 'Print version and end'
complete -c kresc -s h -l help -d 'Print this text and end'

# For every interactive bash.
[ "${PS1-}" ] || return
PS1='\u@\h:\w\$ '
HISTCONTROL=ignoredups
HISTSIZE=5000
shopt -s checkwinsize histappend
alias ls='ls --color=auto' ll='ls -l' grep='grep --color=auto'

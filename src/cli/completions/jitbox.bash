# Completions of jitbox, npx-safe and uvx-safe for bash.
_jitbox() {
    local cur=${COMP_WORDS[COMP_CWORD]} at=${COMP_WORDS[0]##*/} before='' words='' word
    COMPREPLY=()
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "$at $word" in
        _|_) at="$at $word" ;;
        # A word that is neither an option nor perhaps its value is the package.
        *) case $word in -*) ;; *) case $before in -*) ;; *) return ;; esac ;; esac ;;
        esac
        before=$word
    done
    case $at in
_)_    esac
    while IFS= read -r word; do
        COMPREPLY+=("$word")
    done < <(compgen -W "$words" -- "$cur")
}
complete -o default -F _jitbox jitbox npx-safe uvx-safe

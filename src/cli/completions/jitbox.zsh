#compdef jitbox npx-safe uvx-safe
# Completions of jitbox, npx-safe and uvx-safe for zsh.
_jitbox() {
    local at=${words[1]:t} before='' word
    local -a choices
    for word in "${(@)words[2,CURRENT-1]}"; do
        case "$at $word" in
        (_|_) at="$at $word" ;;
        # A word that is neither an option nor perhaps its value is the package.
        (*) if [[ $word != -* && $before != -* ]]; then _files; return; fi ;;
        esac
        before=$word
    done
    case $at in
_)_    esac
    _describe -o 'jitbox' choices || _files
}
if [[ ${funcstack[1]} = _jitbox ]]; then
    _jitbox "$@"
else
    compdef _jitbox jitbox npx-safe uvx-safe
fi

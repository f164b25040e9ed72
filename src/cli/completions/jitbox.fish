# Completions of jitbox, npx-safe and uvx-safe for fish.
function __jitbox_at
    set -l words (commandline -opc)
    set -l at (string replace -r '.*/' '' -- $words[1])
    set -e words[1]
    set -l before ''
    for word in $words
        if contains -- "$at $word" _|_
            set at "$at $word"
        else if not string match -q -- '-*' $word; and not string match -q -- '-*' $before
            # A word that is neither an option nor perhaps its value is the package.
            return 1
        end
        set before $word
    end
    test "$at" = "$argv"
end
_)_

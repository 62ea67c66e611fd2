# C source without comments and string contents, as FILE:LINE:CODE, for checks that must see code only; with
# -v strings=1 the contents stay.
# A line comment is kept as it is: that they are not used here is one of the checks.
FNR == 1 { inside = 0 }
{
    out = ""
    for (i = 1; i <= length($0); i++) {
        two = substr($0, i, 2)
        c = substr(two, 1, 1)
        if (inside) {
            if (two == "*/") { inside = 0; i++; out = out " " }
        } else if (two == "/*") {
            inside = 1
            i++
        } else if (two == "//") {
            out = out substr($0, i)
            break
        } else if (c == "\"" || c == "'") {
            from = i
            for (i++; i <= length($0) && substr($0, i, 1) != c; i++)
                if (substr($0, i, 1) == "\\") i++
            out = out (strings ? substr($0, from, i - from + 1) : c c)
        } else {
            out = out c
        }
    }
    if (out ~ /[^ \t]/) print FILENAME ":" FNR ":" out
}

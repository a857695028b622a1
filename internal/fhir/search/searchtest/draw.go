package searchtest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Draw makes conditions for some parameters together from the values of one
// resource, so that at least that resource is found when every condition is
// drawn plainly; false if it lacks a value for one of them.
func Draw(rng *rand.Rand, r *Resource, names []string) (all []Condition, ok bool) {
	for _, name := range names {
		value, ok := r.draw(rng, name)
		if !ok {
			return nil, false
		}
		all = append(all, Condition{name, value})
	}
	return all, true
}

func (r *Resource) draw(rng *rand.Rand, name string) (string, bool) {
	switch name {
	case "_id":
		return r.ID, true
	case "_lastUpdated":
		return dated(rng, r.Updated.UTC().Format(time.RFC3339)), true
	}
	var values []string
	for _, path := range strings.Fields(rules()[r.Type+"."+name].paths) {
		for _, v := range walk(r.Body, strings.Split(path, ".")) {
			values = append(values, drawn(rng, v)...)
		}
	}
	if len(values) == 0 {
		return "", false
	}
	return values[rng.IntN(len(values))], true
}

// drawn are values of a query that an element matches, or nearly.
func drawn(rng *rand.Rand, v any) (out []string) {
	if s, ok := v.(string); ok {
		if _, _, is := covers(s); is && len(s) > 4 {
			return []string{dated(rng, s)}
		}
		return []string{plain(s[:min(len(s), 3+rng.IntN(8))]), plain(s)}
	}
	if target := text(v, "reference"); target != "" {
		return []string{target}
	}
	for _, key := range []string{"start", "end", "valueDateTime"} {
		if s := text(v, key); s != "" {
			out = append(out, dated(rng, s))
		}
	}
	for _, c := range append(walk(v, []string{"coding"}), v) {
		for _, key := range []string{"code", "value"} {
			if code, system := text(c, key), text(c, "system"); code != "" {
				out = append(out, plain(code), plain(system)+"|"+plain(code))
			}
		}
	}
	for _, part := range []string{"family", "given", "city", "line", "state"} {
		if s := text(v, part); s != "" {
			out = append(out, plain(s), plain(strings.ToUpper(s[:1+rng.IntN(len(s))])))
		}
	}
	return out
}

// plain is a value without what a query would read as syntax; where there is
// such, it matches nothing and the evaluations agree on that.
func plain(s string) string { return strings.NewReplacer(",", "", "$", "", `\`, "").Replace(s) }

// dated is a date at some precision, with some prefix.
func dated(rng *rand.Rand, s string) string {
	prefixes := []string{"", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"}
	cuts := []int{4, 7, 10, len(s)}
	cut := cuts[rng.IntN(len(cuts))]
	return fmt.Sprint(prefixes[rng.IntN(len(prefixes))], s[:min(cut, len(s))])
}

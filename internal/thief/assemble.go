package thief

import (
	"context"
	"fmt"

	"github.com/abaton-health/abaton/spread"
)

// assemble guesses whole code words. The code is systematic: one of the first
// k keepers holds a plain third. Two folders give two of k fragments; the
// thief supposes that the missing one is padding.
func (o *opener) assemble(ctx context.Context, stolen []*Loot) error {
	code, err := spread.NewCode(codeKeepers, codeNeeded)
	if err != nil {
		return fmt.Errorf("assemble: %w", err)
	}
	for i, a := range stolen {
		for _, b := range stolen[i+1:] {
			if err := o.pair(ctx, code, a, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// The code of keeper sets of protocol version 1.
const codeKeepers, codeNeeded = 5, 3

func (o *opener) pair(ctx context.Context, code *spread.Code, a, b *Loot) error {
	n := 0
	for at, f := range a.fragments {
		other, ok := b.fragments[at]
		if !ok || f.word != other.word || len(f.bytes) != len(other.bytes) {
			continue
		}
		if n++; n%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		o.look(append(append([]byte{}, f.bytes...), other.bytes...), "fragments joined", a.name+" and "+b.name, 1)
		for _, xs := range positions(a, b) {
			o.guess(code, xs, f, other, a.name+" and "+b.name)
		}
	}
	return nil
}

// positions are the places the two fragments may have in the code: one pair
// when both indexes are known, else all.
func positions(a, b *Loot) (out [][2]int) {
	if a.index > 0 && b.index > 0 && a.index != b.index && a.index <= codeKeepers && b.index <= codeKeepers {
		return [][2]int{{int(a.index) - 1, int(b.index) - 1}}
	}
	for x := range codeKeepers {
		for y := range codeKeepers {
			if x != y {
				out = append(out, [2]int{x, y})
			}
		}
	}
	return out
}

// guess decodes with each missing fragment in turn supposed to be zero.
func (o *opener) guess(code *spread.Code, xs [2]int, f, other fragment, where string) {
	for missing := range codeNeeded {
		if missing == xs[0] || missing == xs[1] {
			continue
		}
		places := make([][]byte, codeKeepers)
		places[xs[0]], places[xs[1]], places[missing] = f.bytes, other.bytes, make([]byte, len(f.bytes))
		word, _, err := code.Decode(places, f.word)
		if err != nil {
			return // lengths that do not belong together
		}
		o.report.Assembled++
		o.look(word, "fragments decoded", where, 1)
	}
}

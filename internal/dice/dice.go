// Package dice makes choices that a seed repeats, for measurements and drills.
//
//	d := dice.New(seed)
//	victim := d.Below(5)
//
// It is no randomness: whoever knows the seed knows every choice. Keys, nonces
// and secrets come from crypto/rand.
package dice

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Dice is for one goroutine. The zero Dice is that of seed 0.
type Dice struct{ seed, thrown uint64 }

// New is the dice of a seed.
func New(seed uint64) *Dice { return &Dice{seed: seed} }

// Seed is what New was given.
func (d *Dice) Seed() uint64 { return d.seed }

// Below is a number from 0 to n-1; n is at least 1.
func (d *Dice) Below(n int) int {
	d.thrown++
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], d.seed)
	binary.BigEndian.PutUint64(b[8:], d.thrown)
	sum := sha256.Sum256(b[:])
	return int(binary.BigEndian.Uint64(sum[:]) % uint64(n))
}

// Between is a time from low up to, and without, high.
func (d *Dice) Between(low, high time.Duration) time.Duration {
	return low + time.Duration(d.Below(int(high-low)))
}

// Two are different numbers from 1 to n; n is at least 2.
func (d *Dice) Two(n int) (a, b int) {
	a = d.Below(n)
	b = (a + 1 + d.Below(n-1)) % n
	return a + 1, b + 1
}

// Order is the numbers from 0 to n-1, mixed.
func (d *Dice) Order(n int) []int {
	all := make([]int, n)
	for i := range all {
		j := d.Below(i + 1)
		all[i], all[j] = all[j], i
	}
	return all
}

// Pick is one of all, which are not none.
func Pick[T any](d *Dice, all []T) T { return all[d.Below(len(all))] }

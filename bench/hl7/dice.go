package main

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// dice makes choices that a seed repeats.
type dice struct{ seed, thrown uint64 }

// below is a number from 0 to n-1.
func (d *dice) below(n int) int {
	d.thrown++
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], d.seed)
	binary.BigEndian.PutUint64(b[8:], d.thrown)
	sum := sha256.Sum256(b[:])
	return int(binary.BigEndian.Uint64(sum[:]) % uint64(n))
}

func (d *dice) between(low, high time.Duration) time.Duration {
	return low + time.Duration(d.below(int(high-low)))
}

func pick[T any](d *dice, all []T) T { return all[d.below(len(all))] }

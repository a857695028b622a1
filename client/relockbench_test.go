package client_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/abaton-health/abaton/key"
)

// BenchmarkRelock locks a chart of 320 records in ten batches anew, with five
// keepers in this process, so that all their work is counted too. Beside it the
// one encapsulation that each batch needs at least.
func BenchmarkRelock(b *testing.B) {
	const batches, each = 10, 32
	b.Run("chart", func(b *testing.B) {
		w := newWorld(b)
		wr := w.writer(b.TempDir())
		for i := range batches {
			if _, err := wr.Put(b.Context(), w.writes(general, fmt.Sprint("b", i), each)); err != nil {
				b.Fatal(err)
			}
		}
		began, used := time.Now(), cpu(b)
		b.ResetTimer()
		for range b.N {
			if done := w.relock(); done.Done != batches*each {
				b.Fatalf("got %+v, want %d records", done, batches*each)
			}
		}
		records := float64(b.N * batches * each)
		b.ReportMetric(records/time.Since(began).Seconds(), "records/s")
		b.ReportMetric(float64((cpu(b)-used).Microseconds())/records, "µs-cpu/record")
	})
	b.Run("encapsulation", func(b *testing.B) {
		public, used := key.NewBox().Public(), cpu(b)
		for range b.N {
			if _, _, err := public.Encapsulate(nil); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64((cpu(b)-used).Nanoseconds())/1000/float64(b.N), "µs-cpu/op")
	})
}

// cpu is what this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

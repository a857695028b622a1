package store

// DiskBytes is the size of all files of both engines, for metrics; 0 for
// engines without a disk, and what could not be read counts nothing.
func (s *Store) DiskBytes() uint64 {
	total := uint64(0)
	for _, e := range []Engine{s.records, s.keys} {
		if d, ok := e.(interface{ DiskBytes() (uint64, error) }); ok {
			if n, err := d.DiskBytes(); err == nil {
				total += n
			}
		}
	}
	return total
}

package exact

// SetShelf lets a test have many shelves with few entries.
func (s *Spool) SetShelf(bytes int64) { s.shelf = bytes }

// ParsePage is open to its fuzz target.
var ParsePage = parsePage

// ParseQuestion is open to its fuzz target.
var ParseQuestion = parseQuestion

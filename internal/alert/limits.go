package alert

// Limits of a book, and what it waits for.
const (
	// SilentAfter is how long a keeper may give no answer, in seconds: as long as
	// one may say nothing to its peers.
	SilentAfter = 60
	// aloneMax is how many subjects one keeper alone may say it holds: about what
	// the others bear of it in an hour (contain.SubjectsPerHourMax). What is
	// beyond is one alert, about the keeper.
	aloneMax = 32
	// casesMax bounds the cases that are open: far more than a hospital meets, and
	// a state file of a few MiB.
	casesMax = 4096
	// closedFor is how long a case that ended is remembered, in seconds, so that
	// the same thing said again is another case: as long as verdicts stand.
	closedFor = 2 * 86400
	// foundEvery is how often a keeper's findings of one reason make an alert, in
	// seconds.
	foundEvery = 3600
	// verdictsMax is how many verdicts one alert names: what one lift may.
	verdictsMax = 64
)

package snapshot

// Card is the verdict card of an incident: what is known of why, read by a
// machine before a person has to.
type Card struct {
	Sentence   string `json:"sentence"`   // the strongest thing that is known
	Confidence string `json:"confidence"` // one of the Confidence constants
	Why        string `json:"why"`        // of the confidence

	Evidence []CardFact `json:"evidence,omitempty"` // strongest first, at most MaxCard
	LookAt   []string   `json:"look_at,omitempty"`  // what to look at first
	Not      []string   `json:"not,omitempty"`      // what was looked for and not found
}

// CardFact is one thing that speaks for the verdict, and where it stands.
type CardFact struct {
	Text  string `json:"text"`
	Where string `json:"where"` // "stacks.json: group 3", "process.json: thread 4711"
}

// MaxCard bounds each list of a Card.
const MaxCard = 16

// How sure a Card is.
const (
	ConfidenceCertain = "certain" // it follows from what was seen
	ConfidenceLikely  = "likely"  // nothing else explains what was seen as well
	ConfidenceUnclear = "unclear" // what was seen does not tell
)

//go:build race

package supervise

const raceDetector = true // its memory is not ours

package source

import "strings"

// FileChunk is the machine's name for a file. The machine shows at most 58
// octets of it, and would cut at the wrong end.
func FileChunk(path string) string {
	const most = 58
	if len(path) <= most {
		return "@" + path
	}
	return "@..." + path[len(path)-most+3:]
}

// Shown is what messages show of the name of a chunk.
func Shown(chunk string) string { return chunk[1:] }

// CommandChunk is the machine's name for a command.
func CommandChunk(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	if len(text) > 40 {
		text = text[:40] + "..."
	}
	return `=[string "` + text + `"]`
}

// ChunkOf is the name of the chunk in a place, "chunk:line: ".
func ChunkOf(where string) string {
	place := strings.TrimSuffix(where, ": ")
	return place[:max(strings.LastIndexByte(place, ':'), 0)]
}

// WithoutHashBang drops a byte order mark and makes a first line that starts
// with # a comment.
func WithoutHashBang(text string) string {
	text = strings.TrimPrefix(text, "\xef\xbb\xbf")
	if strings.HasPrefix(text, "#") {
		return "--" + text
	}
	return text
}

package rewrite

func (rw *Rewriter) judgeStyle(b []byte, i int, value []byte, v *vector) {}
func (rw *Rewriter) styleElement(b, text []byte)                         {}
func (rw *Rewriter) judgeDocument(i int, value []byte)                   {}

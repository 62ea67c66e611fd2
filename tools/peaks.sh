#!/bin/sh
# Published peaks of memory beside what `peftlab plan` says of the same setting: the table of docs/memory.md.
#   tools/peaks.sh [PROGRAM]             prints the table        (make peaks puts it into the page)
#   tools/peaks.sh [PROGRAM] --commands  prints the commands instead
# GiB throughout; figures that were published in GB are turned. "here" is the planned arena of this program's CUDA backend
# (fp32), without what CUDA's context takes; "bf16" the formula for a lean stack in bf16, "peft" that for transformers + peft.
set -eu
program=${1:-build/peftlab}
what=${2:-table}

gib() { awk -v b="$1" 'BEGIN { printf "%.1f", b / 1073741824 }'; }
number() { printf '%s' "$json" | grep -o "\"$1\": -*[0-9]*" | sed -n "${2:-1}p" | grep -o '[-0-9]*$'; }

row() { # WHAT GIB SOURCE MODEL key=value...
    published=$1 figure=$2 source=$3 model=$4
    shift 4
    if [ "$what" = --commands ]; then
        echo "peftlab plan --model $model --gpu l40s $* --json"
        return
    fi
    json=$("$program" plan --model "$model" --gpu l40s "$@" --json)
    overhead=$(number estimated_overhead_bytes)
    here=$(gib $(($(number total_bytes) - overhead)))
    context=600000000
    echo "| $published | $figure | $here | $(gib $(($(number lean_bytes) - context))) | $(gib $(($(number total_bytes 2) - context))) | $source |"
}

[ "$what" = --commands ] || cat <<'EOF'
| setting | published | here, planned | lean bf16, predicted | peft, predicted | source |
|---|---|---|---|---|---|
EOF
tune="rank=8 target_modules=all-linear gradient_checkpointing=true"
row "Llama-3.1-8B, LoRA r8, 2 x 2048, checkpointing" 16.2 "torchtune README, RTX 4090, compiled" llama-3.1-8b method=lora $tune batch_size=2 max_length=2048
row "Llama-3.1-8B, QLoRA r8, 2 x 2048, checkpointing" 7.4 "the same" llama-3.1-8b method=qlora $tune batch_size=2 max_length=2048
row "Llama-3.2-3B, LoRA r8, 2 x 4096, checkpointing" 8.5 "torchtune README, A100" llama-3.2-3b method=lora $tune batch_size=2 max_length=4096
row "Llama-3.2-3B, QLoRA r8, 2 x 4096, checkpointing" 4.6 "the same" llama-3.2-3b method=qlora $tune batch_size=2 max_length=4096
peft="gradient_checkpointing=false batch_size=4 max_length=768"
row "Llama-3.2-3B, LoRA r32 q,v, 4 x 768" 20.8 "peft method_comparison, L40S" llama-3.2-3b method=lora rank=32 "target_modules=[q_proj, v_proj]" $peft
row "the same, DoRA r32" 22.9 "the same" llama-3.2-3b method=dora rank=32 "target_modules=[q_proj, v_proj]" $peft
row "the same, IA3" 21.6 "the same" llama-3.2-3b method=ia3 $peft
row "the same, prompt of 200 tokens" 22.7 "the same" llama-3.2-3b method=prompt num_virtual_tokens=200 $peft
row "the same, full fine-tuning (theirs all bf16)" 36.2 "the same" llama-3.2-3b method=full $peft
row "Llama-2-7B, QLoRA \"minimum\" (r16, 1 x 2048)" 7.5 "Unsloth issue 469: 8 GB" llama-2-7b method=qlora rank=16 target_modules=all-linear gradient_checkpointing=true batch_size=1 max_length=2048
row "Llama-2-7B, QLoRA r64, 1 x 512 (in practice, at 2048: 9 to 12 GB)" "6.4" "our count by hand, causal.md 8: 6.9 GB" llama-2-7b method=qlora rank=64 target_modules=all-linear gradient_checkpointing=true batch_size=1 max_length=512
row "Llama-2-7B, the same, 1 x 4096" "7.9" "by that count: 8.5 GB" llama-2-7b method=qlora rank=64 target_modules=all-linear gradient_checkpointing=true batch_size=1 max_length=4096
row "Llama-2-7B, LoRA r8 q,v, 1 x 256 (fits a 3090)" "under 22.8" "litgpt issue 553" llama-2-7b method=lora rank=8 "target_modules=[q_proj, v_proj]" gradient_checkpointing=false batch_size=1 max_length=256
row "Llama-2-7B, LoRA, 7 billion at 2 GB each" 14.9 "LLaMA-Factory README, an estimate: 16 GB" llama-2-7b method=lora rank=8 target_modules=all-linear gradient_checkpointing=true batch_size=1 max_length=512
row "Llama-2-7B, QLoRA, at 0.5 GB each" 5.6 "the same: 6 GB" llama-2-7b method=qlora rank=8 target_modules=all-linear gradient_checkpointing=true batch_size=1 max_length=512

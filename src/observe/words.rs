//! Numbers as people read them.

/// `12 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`; two figures at most.
pub fn span(seconds: f64) -> String {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never negative, and cut on purpose"
    )]
    let whole = seconds.max(0.0).round() as u64;
    let two = |large: u64, unit, small: u64, small_unit| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {small_unit}"),
    };
    match whole {
        0..60 => format!("{whole} s"),
        60..3_600 => two(whole / 60, "min", whole % 60, "s"),
        3_600..86_400 => two(whole / 3_600, "h", whole % 3_600 / 60, "min"),
        _ => two(whole / 86_400, "d", whole % 86_400 / 3_600, "h"),
    }
}

/// The same for something fast: `0 s`, `0.8 ms`, `4.2 ms`, `340 ms`, `1.5 s`, then as [`span`].
pub fn moment(seconds: f64) -> String {
    match seconds {
        s if s <= 0.0 => span(s),
        s if s < 0.01 => format!("{:.1} ms", s * 1_000.0),
        s if s < 0.9995 => format!("{:.0} ms", s * 1_000.0),
        s if s < 9.95 => format!("{s:.1} s"),
        s => span(s),
    }
}

/// `1,234,567`, and from ten million on `12.3 M`.
pub fn count(number: u64) -> String {
    const SHORTENED_FROM: u64 = 10_000_000;
    #[allow(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
    match number {
        0..SHORTENED_FROM => grouped(number),
        _ if number < 10_000_000_000 => format!("{:.1} M", number as f64 / 1e6),
        _ => format!("{:.1} G", number as f64 / 1e9),
    }
}

/// `0`, `0.4`, `12`, `45,678`.
pub fn rate(per_second: f64) -> String {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never negative, and cut on purpose"
    )]
    match per_second {
        r if r < 0.05 => "0".to_owned(),
        r if r < 9.95 => format!("{r:.1}"),
        r => count(r.round() as u64),
    }
}

/// Digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let seconds = [0.0, 12.4, 60.0, 200.0, 7_500.0, 356_400.0];
        let words = ["0 s", "12 s", "1 min", "3 min 20 s", "2 h 5 min", "4 d 3 h"];
        assert_eq!(seconds.map(span), words);
    }

    #[test]
    fn moments() {
        let seconds = [0.0, 0.0008, 0.0042, 0.34, 0.9996, 1.53, 75.0];
        let words = [
            "0 s",
            "0.8 ms",
            "4.2 ms",
            "340 ms",
            "1.0 s",
            "1.5 s",
            "1 min 15 s",
        ];
        assert_eq!(seconds.map(moment), words);
    }

    #[test]
    fn counts_and_rates() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!([12_345_678, 12_345_678_901].map(count), ["12.3 M", "12.3 G"]);
        assert_eq!(
            [0.0, 0.42, 12.3, 45_678.4].map(rate),
            ["0", "0.4", "12", "45,678"]
        );
    }
}

//! Spans of time as XML writes them, such as `PT1M30S`.

use std::time::Duration;

const NANOS: u128 = 1_000_000_000;

/// Reads days, hours, minutes and seconds; `None` where it is anything else.
pub(crate) fn read(text: &str) -> Option<Duration> {
    let rest = text.strip_prefix('P')?;
    let (days, time) = match rest.split_once('T') {
        Some((days, time)) => (days, time),
        None => (rest, ""),
    };
    let mut seconds = 0_f64;
    for (part, units) in [(days, &[('D', 86_400.0)][..]), (time, &TIME)] {
        let mut part = part;
        while !part.is_empty() {
            let end = part.find(|character: char| character.is_ascii_uppercase())?;
            let unit = part[end..].chars().next()?;
            let (_, worth) = units.iter().find(|(known, _)| *known == unit)?;
            seconds += part[..end].parse::<f64>().ok()? * worth;
            part = &part[end + 1..];
        }
    }
    if rest.is_empty() { None } else { Duration::try_from_secs_f64(seconds).ok() }
}

const TIME: [(char, f64); 3] = [('H', 3_600.0), ('M', 60.0), ('S', 1.0)];

/// Writes it in seconds, which every reader takes.
pub(crate) fn write(span: Duration) -> String {
    let nanos = span.as_nanos() % NANOS;
    let fraction = if nanos == 0 { String::new() } else { format!(".{nanos:09}") };
    let fraction = fraction.trim_end_matches('0');
    format!("PT{}{fraction}S", span.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_in_all_their_units_and_written_in_seconds() {
        for (text, seconds) in
            [("PT1M", 60.0), ("P1DT2H3M4.5S", 93_784.5), ("PT0S", 0.0), ("P7D", 604_800.0)]
        {
            assert_eq!(read(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for refused in ["", "P", "1M", "PT1", "PT1D", "P1Y", "PT-1S", "PTxS"] {
            assert_eq!(read(refused), None, "{refused}");
        }
        for span in [Duration::from_millis(90_500), Duration::ZERO, Duration::from_secs(1_200)] {
            assert_eq!(read(&write(span)), Some(span));
        }
        assert_eq!(write(Duration::from_millis(2_500)), "PT2.5S");
    }
}

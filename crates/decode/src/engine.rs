//! Formats an engine on one line: `3.0L V6`, `649 cc`.

/// Bytes of a typical label.
const LABEL_BYTES: usize = 16;

/// What vPIC knows of an engine, as text.
#[derive(Default)]
pub(crate) struct EngineFacts<'a> {
    pub displacement_l: Option<&'a str>,
    pub displacement_cc: Option<&'a str>,
    pub configuration: Option<&'a str>,
    pub cylinders: Option<&'a str>,
}

/// Displacement in liters (cubic centimeters below one liter) and layout with the number of cylinders.
pub(crate) fn label(engine: &EngineFacts<'_>) -> Option<String> {
    let EngineFacts { displacement_l, displacement_cc, configuration, cylinders } = engine;
    if [displacement_l, displacement_cc, configuration, cylinders].into_iter().all(Option::is_none) {
        return None;
    }
    let positive = |text: Option<&str>| text.and_then(number).filter(|value| *value > 0.0);
    // Most displacements are whole tenths. Copying those is faster than formatting the number.
    let tenths = engine.displacement_l.filter(|liters| {
        matches!(liters.as_bytes(), [b'1'..=b'9', b'.', b'0'..=b'9'] | [b'1'..=b'9', b'0'..=b'9', b'.', b'0'..=b'9'])
    });
    let mut label = String::with_capacity(LABEL_BYTES);
    if let Some(liters) = tenths {
        label.push_str(liters);
        label.push('L');
    } else {
        match (positive(engine.displacement_l), positive(engine.displacement_cc)) {
            (Some(liters), _) if liters >= 0.95 => label.push_str(&format!("{liters:.1}L")),
            (_, Some(cubic_centimeters)) => label.push_str(&format!("{cubic_centimeters:.0} cc")),
            (Some(liters), None) => label.push_str(&format!("{:.0} cc", liters * 1000.0)),
            (None, None) => {}
        }
    }
    let layout = engine.configuration.and_then(layout_letter);
    // `6.0` is a number of cylinders too.
    let cylinders = engine.cylinders.map(|cylinders| cylinders.split_once('.').map_or(cylinders, |(whole, _)| whole));
    let is_count = |cylinders: &&str| cylinders.parse::<u8>().is_ok_and(|count| count > 0);
    let cylinders = cylinders.filter(is_count);
    let separator = if label.is_empty() { "" } else { " " };
    let parts = match (layout, cylinders) {
        (Some("Rotary"), _) => [separator, "Rotary", ""],
        (Some(layout), Some(cylinders)) => [separator, layout, cylinders],
        (None, Some(cylinders)) => [separator, cylinders, "-cylinder"],
        (_, None) => [""; 3],
    };
    label.extend(parts);
    (!label.is_empty()).then_some(label)
}

/// A plain decimal number; not `1e3` or `inf`, which are names in vPIC's data.
pub(crate) fn number(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_plain { text.parse().ok() } else { None }
}

fn layout_letter(configuration: &str) -> Option<&'static str> {
    match configuration {
        "In-Line" => Some("I"),
        "V-Shaped" => Some("V"),
        "W Shaped" => Some("W"),
        "Horizontally opposed (boxer)" => Some("H"),
        "Rotary" => Some("Rotary"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_displacement_and_layout() {
        let line = |displacement_l, displacement_cc, configuration, cylinders| {
            label(&EngineFacts { displacement_l, displacement_cc, configuration, cylinders })
        };
        assert_eq!(line(Some("2.998832712"), Some("2998.8"), Some("V-Shaped"), Some("6")).as_deref(), Some("3.0L V6"));
        assert_eq!(
            line(Some("2.5"), None, Some("Horizontally opposed (boxer)"), Some("4")).as_deref(),
            Some("2.5L H4")
        );
        assert_eq!(line(Some("0.649"), Some("649.0"), Some("In-Line"), Some("2")).as_deref(), Some("649 cc I2"));
        assert_eq!(line(Some("1.3"), None, Some("Rotary"), Some("2")).as_deref(), Some("1.3L Rotary"));
        assert_eq!(line(Some("5.0"), None, None, None).as_deref(), Some("5.0L"));
        assert_eq!(line(None, None, None, Some("4")).as_deref(), Some("4-cylinder"));
        assert_eq!(line(Some("3"), None, Some("V-Shaped"), Some("6.0")).as_deref(), Some("3.0L V6"));
        assert_eq!(line(None, None, Some("V-Shaped"), None), None);
        assert_eq!(line(Some("not a number"), None, None, None), None);
    }
}

// The trace view's entry for anywidget.

import { connect } from "./model";
import { mount } from "./mount";
import { widget } from "./widget";

export default widget(connect, (el, { store }) => mount(el, store));
